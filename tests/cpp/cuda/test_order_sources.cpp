// What the run-time compiler may be given for sorting, selection, search, masks and scans compiles.
// Needs the compiler alone, no GPU.
#include <algorithm>

#include "compiles.h"
#include "mlx/backend/cuda/mask.h"
#include "mlx/backend/cuda/partition.h"
#include "mlx/backend/cuda/scan.h"
#include "mlx/backend/cuda/search.h"
#include "mlx/backend/cuda/sort.h"

using namespace mlx::core;

namespace {

// One type for each size of keys, and for each way of computing.
constexpr Dtype order_dtypes[] = {bool_, float16, float32, complex64};
constexpr Dtype scan_dtypes[] = {bool_, int16, bfloat16, complex64, complex128};

}  // namespace

class CudaOrder : public testing::TestWithParam<Dtype> {};

TEST_P(CudaOrder, Compiles) {
  Dtype dtype = GetParam();
  expect_compiles({cuda::short_sort_call(dtype, true, 256), cuda::digit_count_call(dtype, true),
                   cuda::digit_sort_call(dtype, true, false), cuda::key_count_call(dtype),
                   cuda::deal_call(dtype, true), cuda::search_call(dtype),
                   cuda::mark_first_call(dtype)});
}

class CudaScans : public testing::TestWithParam<Dtype> {};

TEST_P(CudaScans, Compile) {
  Dtype dtype = GetParam();
  int width = static_cast<int>(std::min<size_t>(16 / dtype.size(), 8));
  std::vector<cuda::KernelCall> calls = {
      cuda::row_total_call(ScanOp::Sum, dtype, width), cuda::column_scan_call(ScanOp::Sum, dtype),
      cuda::column_total_call(ScanOp::Max, dtype), cuda::row_scan_call(ScanOp::Min, dtype, 1, 32),
      cuda::row_scan_call(ScanOp::Sum, dtype, width, 32)};
  for (auto op : {ScanOp::Sum, ScanOp::Prod, ScanOp::Max, ScanOp::LogAddExp}) {
    if (op != ScanOp::LogAddExp || issubdtype(dtype, inexact)) {
      calls.push_back(cuda::row_scan_call(op, dtype, width, 256));
    }
  }
  expect_compiles(calls);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, CudaOrder, testing::ValuesIn(order_dtypes), dtype_label);
INSTANTIATE_TEST_SUITE_P(Dtypes, CudaScans, testing::ValuesIn(scan_dtypes), dtype_label);

TEST(CudaMasks, Compile) {
  std::vector<cuda::KernelCall> calls = {cuda::count_true_call(), cuda::sum_counts_call()};
  for (size_t word : {1, 4, 16}) {
    calls.push_back(cuda::select_rows_call(word, word == 4));
    calls.push_back(cuda::scatter_rows_call(word, word == 4));
  }
  expect_compiles(calls);
}

TEST(CudaOrderCalls, Compile) {
  expect_compiles({cuda::number_elements_call(), cuda::count_elements_call()});
  expect_compiles({cuda::short_sort_call(float32, false, 512),
                   cuda::digit_sort_call(int8, false, true), cuda::deal_call(int8, false)});
}
