// The attention kernels compile, in each kind and at the ends of their widths. Needs the compiler
// alone, no GPU.
#include <gtest/gtest.h>

#include "mlx/backend/cuda/attention_backward_plan.h"
#include "mlx/backend/cuda/jit.h"

using namespace mlx::core;

namespace {

struct Case {
  const char* name;
  cuda::AttentionShape shape;
  bool warp_groups;
};

// batches, query heads, key heads, queries, keys, columns of queries and of values, causal, general
const Case cases[] = {
    {"HalfPanels", {bfloat16, 1, 32, 8, 1024, 1024, 128, 128, true, false}, true},
    {"FloatPanels", {float32, 1, 16, 16, 1024, 1024, 64, 64, true, false}, true},
    {"HalfTiles", {float16, 1, 2, 1, 100, 4096, 90, 20, false, true}, false},
    {"FloatTiles", {float32, 1, 2, 1, 100, 4096, 30, 7, true, true}, false},
    {"FewKeys", {bfloat16, 1, 32, 4, 1, 300, 64, 64, false, true}, true},
    {"FewWideKeys", {float16, 1, 32, 2, 1, 200, 128, 128, true, false}, true},
    {"FewHalfs", {bfloat16, 8, 32, 8, 1, 32768, 128, 128, false, false}, true},
    {"FewMaskedHalfs", {float16, 1, 8, 1, 2, 4096, 90, 20, true, true}, false},
    {"FewWideHalfs", {float16, 1, 4, 1, 1, 4096, 96, 256, true, true}, false},
};

}  // namespace

class CudaAttention : public testing::TestWithParam<Case> {};

TEST_P(CudaAttention, Compiles) {
  const Case& c = GetParam();
  auto plan = cuda::plan_attention(c.shape, {132, c.warp_groups, 200000});
  const char* architecture = c.warp_groups ? "sm_90a" : "sm_80";
  EXPECT_NO_THROW(cuda::compile_source(plan.source(), architecture));
  if (plan.splits > 1) {
    EXPECT_NO_THROW(cuda::compile_source(plan.merge_source(), architecture));
  }
}

TEST_P(CudaAttention, BackwardCompiles) {
  const Case& c = GetParam();
  auto plan = cuda::plan_attention_backward(c.shape, {132, c.warp_groups, 101376});
  for (const auto* call :
       {&plan.queries.call, &plan.keys.call, &plan.row_sums, &plan.sink_gradients}) {
    EXPECT_NO_THROW(cuda::compile_source(cuda::source_of(*call), "sm_80")) << call->function;
  }
  EXPECT_LE(plan.queries.shared_bytes, 101376u);
  EXPECT_LE(plan.keys.shared_bytes, 101376u);
}

INSTANTIATE_TEST_SUITE_P(Shapes, CudaAttention, testing::ValuesIn(cases),
                         [](const auto& info) { return std::string(info.param.name); });
