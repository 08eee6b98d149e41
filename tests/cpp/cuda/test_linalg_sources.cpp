// What the run-time compiler may be given for linear algebra compiles. Needs no GPU.
#include "compiles.h"
#include "mlx/backend/cuda/linalg.h"

using namespace mlx::core;

namespace {

constexpr Dtype matrix_dtypes[] = {float32, float64, complex64};

}  // namespace

class CudaLinalg : public testing::TestWithParam<Dtype> {};

TEST_P(CudaLinalg, SmallDecompositionsCompile) {
  Dtype dtype = GetParam();
  int64_t largest = cuda::largest_small(dtype);
  expect_compiles({cuda::factor_small_call(dtype, 5), cuda::factor_small_call(dtype, largest)});
  expect_compiles(
      {cuda::factor_small_qr_call(dtype, 17), cuda::factor_small_qr_call(dtype, largest)});
  expect_compiles({cuda::factor_small_svd_call(dtype)});
  expect_compiles(
      {cuda::solve_small_call(dtype, 32, 1), cuda::solve_small_call(dtype, largest, largest)});
}

TEST_P(CudaLinalg, KernelsAroundLibrariesCompile) {
  Dtype dtype = GetParam();
  std::vector<cuda::KernelCall> calls = {
      cuda::take_triangles_call(dtype), cuda::find_zeros_call(dtype),
      cuda::find_not_finite_call(dtype), cuda::replace_matrices_call(dtype),
      cuda::make_identities_call(dtype)};
  if (dtype != complex64) {
    calls.push_back(cuda::unpack_vectors_call(dtype));
  }
  expect_compiles(calls);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, CudaLinalg, testing::ValuesIn(matrix_dtypes), dtype_label);

TEST(CudaLinalgTest, KernelsOfIndicesCompile) {
  expect_compiles({cuda::list_matrices_call(), cuda::order_rows_call(),
                   cuda::conjugate_numbers_call(), cuda::report_infos_call()});
}
