// What the run-time compiler may be given for convolutions compiles, without a GPU.
#include <gtest/gtest.h>

#include "mlx/backend/cuda/conv_gemm.h"
#include "mlx/backend/cuda/jit.h"

using namespace mlx::core;

namespace {

struct Function {
  const char* text;
  unsigned threads;
  bool several;
};

}  // namespace

class CudaConv : public testing::TestWithParam<Function> {};

TEST_P(CudaConv, Compiles) {
  auto [text, threads, several] = GetParam();
  std::string code = cuda::compile_source(cuda::conv_source(text, threads, several), "sm_90a");
  EXPECT_GT(code.size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Functions, CudaConv,
    testing::Values(Function{"conv_gemm<float, true, TileShape<64, 64, 32, 32, 4>>", 128, false},
                    Function{"conv_gemm<BFloat, false, TileShape<128, 8, 32, 8, 4>>", 128, true},
                    Function{"conv_gemm<Half, true, TileShape<64, 32, 32, 16, 4>>", 128, false},
                    Function{"conv_gemm<double, true, TileShape<64, 64, 32, 32, 2>>", 128, false},
                    Function{"conv_weight<Half, true, TileShape<128, 32, 32, 32, 3>>", 128, false},
                    Function{"conv_weight<double, false, TileShape<64, 64, 32, 32, 2>>", 128,
                             false},
                    Function{"pack_weight", 256, true},
                    Function{"conv_warpgroup<true, 2, 2>", 128, true},
                    Function{"conv_warpgroup<false, 1, 3>", 128, false},
                    Function{"sum_weight_parts<BFloat>", 1024, false},
                    Function{"conv_depthwise<float, 4>", 256, true},
                    Function{"conv_depthwise_lines<float, 4, 3>", 256, false},
                    Function{"conv_depthwise_lines<BFloat, 8, 7>", 256, true},
                    Function{"conv_depthwise_weight<BFloat, 4>", 256, false}),
    [](const auto& info) { return "at" + std::to_string(info.index); });
