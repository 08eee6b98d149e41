// What the run-time compiler may be given for reductions, softmax, norms, rotations, copies,
// gathers, scatters and creation compiles. Needs the compiler alone, no GPU.
#include "compiles.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/creation.h"
#include "mlx/backend/cuda/cross_entropy.h"
#include "mlx/backend/cuda/fft.h"
#include "mlx/backend/cuda/made_row.h"
#include "mlx/backend/cuda/norm.h"
#include "mlx/backend/cuda/product.h"
#include "mlx/backend/cuda/random.h"
#include "mlx/backend/cuda/recurrent.h"
#include "mlx/backend/cuda/reduce.h"
#include "mlx/backend/cuda/rope.h"
#include "mlx/backend/cuda/scatter.h"
#include "mlx/backend/cuda/softmax.h"
#include "mlx/backend/cuda/vector_product.h"

using namespace mlx::core;

namespace {

std::vector<ReduceOp> reductions_of(Dtype dtype) {
  std::vector<ReduceOp> ops = {ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max,
                               ReduceOp::Min, ReduceOp::All,  ReduceOp::Any};
  if (issubdtype(dtype, floating)) {
    ops.insert(ops.end(), {ReduceOp::Mean, ReduceOp::Var, ReduceOp::LogSumExp});
  }
  return ops;
}

constexpr UpdateMode combining_modes[] = {UpdateMode::Sum, UpdateMode::Prod, UpdateMode::Max,
                                          UpdateMode::Min};

}  // namespace

class CudaKernels : public testing::TestWithParam<Dtype> {};

TEST_P(CudaKernels, ReductionsCompile) {
  Dtype dtype = GetParam();
  std::vector<cuda::KernelCall> calls;
  for (ReduceOp op : reductions_of(dtype)) {
    auto folding = cuda::reduce_folding(op, dtype, reduce_result_type(op, dtype));
    for (int lanes : {32, 256}) {
      calls.push_back(cuda::reduce_rows_call(folding, lanes, true, {1, 1}));
    }
  }
  for (bool largest : {false, true}) {
    calls.push_back(
        cuda::reduce_rows_call(cuda::position_folding(largest, dtype), 256, false, {2, 2}));
  }
  auto sum = cuda::reduce_folding(ReduceOp::Sum, dtype, reduce_result_type(ReduceOp::Sum, dtype));
  calls.push_back(cuda::reduce_columns_call(sum, 1, {2, 1}));
  if (dtype.size() <= 4) calls.push_back(cuda::reduce_columns_call(sum, 4, {1, 1}));
  calls.push_back(cuda::merge_chunks_call(sum, {1, 1}));
  expect_compiles(calls);
}

TEST_P(CudaKernels, RecurrentLayersCompile) {
  Dtype dtype = GetParam();
  if (!issubdtype(dtype, floating)) return;
  std::vector<cuda::KernelCall> calls;
  for (auto kind : {RecurrentSpec::Lstm, RecurrentSpec::Gru, RecurrentSpec::RnnRelu}) {
    for (const char* function : {"recurrent_forward", "recurrent_backward"}) {
      calls.push_back(cuda::recurrent_call(function, kind, dtype, 2, true));
      calls.push_back(cuda::recurrent_call(function, kind, dtype, 8, false));
    }
  }
  calls.push_back(
      cuda::recurrent_call("recurrent_forward", RecurrentSpec::RnnTanh, dtype, 1, true));
  expect_compiles(calls);
}

TEST(CudaPlans, RecurrentLayersFitTheirBlocks) {
  cuda::RecurrentDevice device{132, 227 << 10, true};
  auto small = cuda::plan_recurrent({float32, 32, 128, 128, 4}, device);
  EXPECT_TRUE(small.clustered);
  EXPECT_EQ(small.blocks, 8u);
  EXPECT_EQ(small.rows, 2);
  for (int64_t units : {1, 7, 300, 1024, 4000}) {
    for (int64_t rows : {1, 5, 1000}) {
      for (int64_t depth : {units, 4 * units}) {
        auto plan = cuda::plan_recurrent({float32, rows, units, depth, 4 * units / depth}, device);
        EXPECT_GE(plan.rows, 1);
        EXPECT_LE(static_cast<int64_t>(plan.shared_bytes), device.shared_bytes);
        EXPECT_GE(plan.units_per_block * plan.blocks, units);
        EXPECT_TRUE(!plan.clustered || plan.blocks <= 8);
        EXPECT_GE(plan.stride, depth);
      }
    }
  }
  EXPECT_EQ(cuda::plan_recurrent({float32, 1, 100000, 400000, 1}, device).rows, 0);
  device.clusters = false;
  EXPECT_FALSE(cuda::plan_recurrent({float32, 32, 128, 128, 4}, device).clustered);
}

TEST_P(CudaKernels, ProductsCompile) {
  expect_compiles({cuda::product_call(GetParam(), true), cuda::product_call(GetParam(), false)});
}

TEST_P(CudaKernels, UpdatesCompile) {
  Dtype dtype = GetParam();
  cuda::IndexVariant variant{kernels::FaultOp::scatter, 2, 1, 2};
  std::vector<cuda::KernelCall> copies, updates;
  for (UpdateMode mode : combining_modes) {
    copies.push_back(cuda::strided_combine_call(mode, dtype, false, 2));
    if (!cuda::needs_order(mode, dtype)) {
      updates.push_back(cuda::scatter_combine_call(variant, mode, dtype));
    }
  }
  expect_compiles(copies);
  expect_compiles(updates);
}

class CudaOrderedScatter : public testing::TestWithParam<Dtype> {};

TEST_P(CudaOrderedScatter, Compiles) {
  Dtype dtype = GetParam();
  cuda::IndexVariant variant{kernels::FaultOp::scatter_axis, 1, 2, 1};
  std::vector<cuda::KernelCall> few, rounds;
  for (UpdateMode mode : combining_modes) {
    if (!cuda::needs_order(mode, dtype)) continue;
    few.push_back(cuda::scatter_few_call(variant, mode, dtype));
    for (bool first : {true, false}) {
      rounds.push_back(cuda::combine_sorted_call(mode, dtype, uint16, first, 1, 2, 1));
      if (dtype.size() <= 4) {
        rounds.push_back(cuda::combine_sorted_call(mode, dtype, uint16, first, 4, 1, 1));
      }
    }
  }
  expect_compiles(few);
  expect_compiles(rounds);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, CudaOrderedScatter,
                         testing::Values(float16, float32, float64, bfloat16, complex64,
                                         complex128),
                         dtype_label);

INSTANTIATE_TEST_SUITE_P(Dtypes, CudaKernels, testing::ValuesIn(all_dtypes), dtype_label);

class CudaFloatKernels : public testing::TestWithParam<Dtype> {};

TEST_P(CudaFloatKernels, SoftmaxesCompile) {
  Dtype dtype = GetParam();
  expect_compiles({cuda::row_softmax_call(dtype, 32), cuda::row_softmax_call(dtype, 256),
                   cuda::held_softmax_call(dtype, {32, 1, 3}),
                   cuda::held_softmax_call(dtype, {256, 2, 4}), cuda::column_softmax_call(dtype),
                   cuda::softmax_jacobian_call(dtype, 32)});
}

TEST(CudaProducts, ProductsOfFewRowsCompile) {
  for (Dtype dtype : {float16, bfloat16, float32}) {
    std::vector<cuda::KernelCall> calls;
    for (int m = 1; m <= cuda::most_vector_rows; m++) {
      calls.push_back(cuda::vector_product_call(dtype, m, 1));
      calls.push_back(cuda::vector_product_call(dtype, m, 2));
    }
    expect_compiles(calls);
  }
}

TEST(CudaProducts, RowsThatTheyMakeThemselvesCompile) {
  for (Dtype dtype : {float16, bfloat16, float32}) {
    auto call = cuda::vector_product_call(dtype, 1, 1);
    std::vector<std::string> texts;
    for (int64_t length : {256, 2048, 4096}) {
      auto variant = cuda::row_variant(dtype, length, {nullptr});
      texts.push_back(cuda::norm_row_text(NormSpec::Rms, dtype, variant));
      texts.push_back(cuda::norm_row_text(NormSpec::Layer, dtype, variant));
    }
    for (auto& text : texts) {
      cuda::RowMaker maker{{}, [&] { return text; }, {}, 0};
      EXPECT_NO_THROW(cuda::compile_source(cuda::source_with_row(call, maker), "sm_90"));
    }
  }
}

TEST_P(CudaFloatKernels, NormsCompile) {
  Dtype dtype = GetParam();
  std::vector<cuda::KernelCall> calls = {cuda::norm_parameters_call(dtype)};
  for (auto kind : {NormSpec::Rms, NormSpec::Layer}) {
    for (int64_t length : {99, 768, 4096, 100000}) {
      auto variant = cuda::row_variant(dtype, length, {nullptr});
      calls.push_back(cuda::norm_call(kind, dtype, variant));
      calls.push_back(cuda::norm_backward_call(kind, dtype, variant));
    }
  }
  expect_compiles(calls);
}

TEST_P(CudaFloatKernels, RotationsCompile) {
  std::vector<cuda::KernelCall> calls;
  for (bool neighbours : {false, true}) {
    calls.push_back(cuda::rope_call(GetParam(), neighbours, 1));
    calls.push_back(cuda::rope_call(GetParam(), neighbours, cuda::rope_pack(GetParam())));
  }
  expect_compiles(calls);
}

TEST_P(CudaFloatKernels, CrossEntropiesCompile) {
  Dtype dtype = GetParam();
  int pack = 16 / static_cast<int>(dtype.size());
  expect_compiles({cuda::cross_entropy_call(dtype, 256, pack),
                   cuda::cross_entropy_call(dtype, 32, 1),
                   cuda::cross_entropy_gradient_call(dtype, 256, pack),
                   cuda::cross_entropy_gradient_call(dtype, 32, 1)});
}

INSTANTIATE_TEST_SUITE_P(Dtypes, CudaFloatKernels, testing::ValuesIn(float_dtypes), dtype_label);

TEST(CudaMoves, Compile) {
  std::vector<cuda::KernelCall> copies, gathers, scatters;
  for (size_t word : {1, 2, 4, 8, 16}) {
    copies.push_back(cuda::strided_copy_call(word, word == 4, 3));
    copies.push_back(cuda::strided_copy_pair_call(word, word == 4, 3));
    if (word <= 8) copies.push_back(cuda::tiled_copy_call(word, 32, 2));
    if (word <= 4) copies.push_back(cuda::tiled_copy_call(word, 64, 1));
    copies.push_back(cuda::placed_copy_call(word, 3, word == 2 ? 2 : 1));
    copies.push_back(cuda::placed_copy_pair_call(word, 3, word == 2 ? 2 : 1));
    for (auto op : {kernels::FaultOp::gather, kernels::FaultOp::take_along_axis}) {
      gathers.push_back(cuda::gather_call({op, 1, 1, 1}, word));
      gathers.push_back(cuda::gather_rows_call(op, word, 4));
    }
    if (word <= 8) {
      cuda::IndexVariant variant{kernels::FaultOp::scatter_axis, 1, 2, 1};
      scatters.push_back(cuda::scatter_replace_call(variant, word, true));
      scatters.push_back(cuda::scatter_replace_call(variant, word, false));
    }
  }
  expect_compiles(copies);
  for (Dtype key : {uint8, uint16, uint32}) {
    scatters.push_back(cuda::scatter_keys_call({kernels::FaultOp::scatter, 2, 1, 1}, key));
  }
  expect_compiles(gathers);
  expect_compiles(scatters);
}

TEST(CudaSpectra, Compile) {
  using cuda::RowType;
  expect_compiles({cuda::convert_rows_call(RowType::single, RowType::single),
                   cuda::convert_rows_call(RowType::single, RowType::complex),
                   cuda::convert_rows_call(RowType::complex, RowType::complex),
                   cuda::convert_rows_call(RowType::complex, RowType::single),
                   cuda::convert_rows_call(RowType::real64, RowType::wide_complex),
                   cuda::convert_rows_call(RowType::wide_complex, RowType::complex)});
}

TEST(CudaCreation, Compiles) {
  std::vector<cuda::KernelCall> calls;
  for (Dtype dtype : all_dtypes) {
    if (dtype != bool_) calls.push_back(cuda::counting_call(dtype));
  }
  expect_compiles(calls);
  expect_compiles({cuda::random_bits_call()});
}
