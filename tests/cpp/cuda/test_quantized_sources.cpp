// The kernels of quantised matrices compile, for each number of bits, group size and mode, and the
// plans that choose among them hold what their blocks can. Needs the compiler alone, no GPU.
#include "compiles.h"
#include "mlx/backend/cuda/quantized_plan.h"

using namespace mlx::core;

namespace {

using Mode = QuantizationMode;

constexpr QuantizedFormat formats[] = {
    {Mode::Affine, 1, 64},  {Mode::Affine, 2, 32}, {Mode::Affine, 3, 16},  {Mode::Affine, 4, 16},
    {Mode::Affine, 4, 32},  {Mode::Affine, 4, 64}, {Mode::Affine, 4, 128}, {Mode::Affine, 5, 64},
    {Mode::Affine, 6, 128}, {Mode::Affine, 8, 64}, {Mode::Mxfp4, 4, 32},   {Mode::Mxfp8, 8, 32},
    {Mode::Nvfp4, 4, 16}};

}  // namespace

class CudaQuantized : public testing::TestWithParam<QuantizedFormat> {};

TEST_P(CudaQuantized, Compiles) {
  QuantizedFormat format = GetParam();
  Dtype half = format.bits % 3 == 0 || format.group_size == 32 ? float16 : bfloat16;
  bool wide = format.group_size > 32;
  Dtype few = format.bits == 4 && wide ? float32 : half;
  for (const auto& call : {cuda::quantized_rows_call(format, few, wide ? 2 : 1),
                           cuda::quantized_tiles_call(format, half, wide ? 2 : 1)}) {
    EXPECT_NO_THROW(cuda::compile_source(cuda::source_of(call), "sm_90a"));
  }
  if (format.bits % 4 == 0 && format.group_size > 16) {
    expect_compiles({cuda::quantized_row_call(format, half, 8),
                     cuda::quantized_row_call(format, bfloat16, 16)});
  }
  expect_compiles({cuda::quantized_unpack_call(format, half, half),
                   cuda::quantized_unpack_call(format, float32, float32)});
  expect_compiles(
      {cuda::quantized_pack_call(format, half), cuda::quantized_pack_call(format, float32)});
}

INSTANTIATE_TEST_SUITE_P(Formats, CudaQuantized, testing::ValuesIn(formats), [](const auto& info) {
  const QuantizedFormat& f = info.param;
  return std::string(quantization_mode_to_string(f.mode)) + std::to_string(f.bits) + "x" +
         std::to_string(f.group_size);
});

TEST(CudaQuantizedSort, Compiles) { expect_compiles({cuda::quantized_sort_call()}); }

TEST(CudaPlans, SingleRowsMeetWholeUnits) {
  using Plan = cuda::QuantizedPlan;
  auto plan = [](const QuantizedFormat& format, Dtype dtype, int64_t rows, int64_t k) {
    return cuda::plan_quantized({dtype, format, 1, rows, 2048, k, 1, false}, {9, 132});
  };
  QuantizedFormat four{Mode::Affine, 4, 32}, eight{Mode::Affine, 8, 64};
  EXPECT_EQ(plan(four, bfloat16, 1, 2048).kind, Plan::row);
  EXPECT_EQ(plan(four, bfloat16, 1, 2048).size, 8);
  EXPECT_EQ(plan(four, float16, 1, 5632).size, 16);
  EXPECT_EQ(plan(eight, bfloat16, 1, 2048).size, 16);
  EXPECT_EQ(plan(eight, bfloat16, 1, 128).kind, Plan::row);
  EXPECT_EQ(plan(four, bfloat16, 1, 2048 + 128).kind, Plan::rows);  // half a unit
  EXPECT_EQ(plan(four, bfloat16, 2, 2048).kind, Plan::rows);
  EXPECT_EQ(plan(four, float32, 1, 2048).kind, Plan::rows);
  EXPECT_EQ(plan({Mode::Affine, 3, 32}, bfloat16, 1, 2048).kind, Plan::rows);
  EXPECT_EQ(plan({Mode::Nvfp4, 4, 16}, bfloat16, 1, 2048).kind, Plan::rows);
}

TEST(CudaPlans, QuantizedProductsFitTheirBlocks) {
  using Plan = cuda::QuantizedPlan;
  cuda::QuantizedDevice device{9, 132};
  constexpr size_t shared_bytes = 227 << 10;
  for (const QuantizedFormat& format : formats) {
    for (Dtype dtype : {bfloat16, float32}) {
      for (int64_t rows : {1, 2, 8, 16, 17, 64, 300, 5000}) {
        for (bool picked : {false, true}) {
          auto plan =
              cuda::plan_quantized({dtype, format, 8, rows, 4096, 4096, 64, picked}, device);
          EXPECT_LE(plan.shared_bytes, shared_bytes);
          EXPECT_TRUE(plan.way == Plan::dense || plan.most_rows > 0);
          EXPECT_FALSE(picked && plan.way == Plan::dense);
        }
      }
    }
  }
  QuantizedFormat format{Mode::Affine, 4, 64};
  auto way = [&](int64_t products, int64_t rows, bool picked) {
    return cuda::plan_quantized({bfloat16, format, products, rows, 4096, 4096, 64, picked}, device)
        .way;
  };
  EXPECT_EQ(way(1, 1, false), Plan::direct);
  EXPECT_EQ(way(1, 4096, false), Plan::dense);
  EXPECT_EQ(way(8, 1, true), Plan::direct);
  EXPECT_EQ(way(4096, 1, true), Plan::sorted);
}
