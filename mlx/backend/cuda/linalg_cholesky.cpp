// Cholesky and triangular systems on the GPU. The library is at its best with lower triangles;
// systems are solved in row-major memory as on the CPU.
#include "mlx/backend/common/linalg.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/linalg_call.h"
#include "mlx/backend/cuda/linalg.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cuda {

namespace {

template <typename T>
void factor_all(array& a, const Infos& infos, const Stream& s) {
  constexpr auto triangle = CUBLAS_FILL_MODE_LOWER;
  constexpr auto type = data_type<T>();
  int64_t n = a.shape(-1), count = matrix_count(a), size = n * n;
  T* matrices = elements<T>(a);
  if (is_batch(count, n)) {
    Addresses<T> addresses(matrices, size, count, s);
    call_library(s, [&](const MatrixLibrary& library) {
      int rows = static_cast<int>(n);
      check_matrices(MatrixRoutines<T>::instance().potrf_batched(library.solver, triangle, rows,
                                                                 addresses.get(), rows, infos.get(),
                                                                 static_cast<int>(count)));
    });
    return;
  }
  size_t device = 0, host = 0;
  call_library(s, [&](const MatrixLibrary& library) {
    check_matrices(library.potrf_size(library.solver, library.params, triangle, n, type, matrices,
                                      n, type, &device, &host));
  });
  Workspace work(device, host, s);
  call_library(s, [&](const MatrixLibrary& library) {
    for (int64_t i = 0; i < count; i++) {
      check_matrices(library.potrf(library.solver, library.params, triangle, n, type,
                                   matrices + i * size, n, type, work.device(), device, work.host(),
                                   host, infos.get() + i));
    }
  });
}

void eval_cholesky(Cholesky& primitive, const std::vector<array>& inputs,
                   std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  if (!MatrixLibrary::is_there()) {
    eval_on_host(primitive, inputs, outputs);
    return;
  }
  // Row-major memory holds A^T, whose lower triangle is the upper one of A: U = L^T of conj(A).
  array a = primitive.upper() ? rows_copy(inputs[0], s) : columns_copy(inputs[0], s);
  if (a.size() > 0) {
    Infos infos(matrix_count(a), s);
    with_matrix_type(a.dtype(), [&](auto t) { factor_all<decltype(t)>(a, infos, s); });
    infos.report(kernels::FaultOp::cholesky, outputs);
    take_triangles(a, a, false, s);
  }
  share_view(a, outputs[0], a.strides());
}

/** A triangular matrix where the library can read it: `transposed` if it is column major. */
struct Triangle {
  array matrices;
  bool transposed;
  int64_t stride;

  Triangle(const array& a, const Stream& s) : matrices(with_plain_batch(a, s)) {
    int64_t n = a.shape(-1), row = matrices.strides(-2), column = matrices.strides(-1);
    bool rows = column == 1 && row >= n;
    transposed = !rows && row == 1 && column >= n;
    stride = transposed ? column : row;
    if ((!rows && !transposed) || stride > INT32_MAX) {
      matrices = contiguous(a, s);
      transposed = false;
      stride = n;
    }
  }
};

void report_zeros(const Triangle& triangle, const std::vector<array>& outputs, const Stream& s) {
  const array& a = triangle.matrices;
  int64_t count = matrix_count(a);
  Infos infos(count, s);
  kernels::Diagonals call{count,          a.shape(-1),         triangle.stride + 1,
                          matrix_step(a), input_address(a, s), infos.get()};
  launch(kernel_of(find_zeros_call(a.dtype()), s), blocks_for(count, 1), 256, s, call);
  infos.report(kernels::FaultOp::solve_triangular, outputs);
}

template <typename T>
void solve_all(const Triangle& triangle, array& x, bool upper, bool unit, const Stream& s) {
  const auto& routines = MatrixRoutines<T>::instance();
  int n = x.shape(-2), k = x.shape(-1), stride = static_cast<int>(triangle.stride);
  int64_t count = matrix_count(x), step = matrix_step(triangle.matrices), size = int64_t{n} * k;
  auto* matrices = static_cast<const T*>(input_address(triangle.matrices, s));
  T* solutions = elements<T>(x);
  // X^T A^T = B^T
  auto fill = upper == triangle.transposed ? CUBLAS_FILL_MODE_UPPER : CUBLAS_FILL_MODE_LOWER;
  auto operation = triangle.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  auto diagonal = unit ? CUBLAS_DIAG_UNIT : CUBLAS_DIAG_NON_UNIT;
  T one{};
  reinterpret_cast<typename MatrixRoutines<T>::Real&>(one) = 1;
  if (is_batch(count, n)) {
    Addresses<T> a(matrices, step, count, s), b(solutions, size, count, s);
    call_library(s, [&](const MatrixLibrary& library) {
      check_matrices(routines.trsm_batched(library.blas, CUBLAS_SIDE_RIGHT, fill, operation,
                                           diagonal, k, n, &one, a.get(), stride, b.get(), k,
                                           static_cast<int>(count)));
    });
    return;
  }
  call_library(s, [&](const MatrixLibrary& library) {
    for (int64_t i = 0; i < count; i++) {
      check_matrices(routines.trsm(library.blas, CUBLAS_SIDE_RIGHT, fill, operation, diagonal, k, n,
                                   &one, matrices + i * step, stride, solutions + i * size, k));
    }
  });
}

void eval_triangular_solve(TriangularSolve& primitive, const std::vector<array>& inputs,
                           std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  if (!MatrixLibrary::is_there()) {
    eval_on_host(primitive, inputs, outputs);
    return;
  }
  array x = rows_copy(inputs[1], s);
  if (x.size() > 0) {
    Triangle triangle(inputs[0], s);
    if (!primitive.unit()) {
      report_zeros(triangle, outputs, s);
    }
    with_matrix_type(x.dtype(), [&](auto t) {
      solve_all<decltype(t)>(triangle, x, primitive.upper(), primitive.unit(), s);
    });
  }
  share_view(x, outputs[0], x.strides());
}

const Register<Cholesky> cholesky(host_if_wide<Cholesky, eval_cholesky>);
const Register<TriangularSolve> triangular_solve(
    host_if_wide<TriangularSolve, eval_triangular_solve>);

}  // namespace

}  // namespace mlx::core::cuda
