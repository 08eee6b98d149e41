// LU, systems of equations and inverses on the GPU. Row-major memory holds transposes, so systems
// factor A^T = P^T L U and solve (A^T)^T X = B.
#include "mlx/backend/common/linalg.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/linalg_call.h"
#include "mlx/backend/cuda/linalg.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cuda {

namespace {

/** Column-major factors in place, with pivots that count from 1. */
template <typename T>
void factor_all(array& a, int* pivots, const Infos& infos, const Stream& s) {
  const auto& routines = MatrixRoutines<T>::instance();
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  int64_t count = matrix_count(a), size = int64_t{m} * n;
  T* matrices = elements<T>(a);
  if (m == n && is_batch(count, n)) {
    Addresses<T> addresses(matrices, size, count, s);
    call_library(s, [&](const MatrixLibrary& library) {
      check_matrices(routines.getrf_batched(library.blas, n, addresses.get(), n, pivots,
                                            infos.get(), static_cast<int>(count)));
    });
    return;
  }
  int lwork = 0;
  call_library(s, [&](const MatrixLibrary& library) {
    check_matrices(routines.getrf_size(library.solver, m, n, matrices, m, &lwork));
  });
  Scratch work(static_cast<size_t>(lwork) * sizeof(T), s);
  call_library(s, [&](const MatrixLibrary& library) {
    for (int64_t i = 0; i < count; i++) {
      check_matrices(routines.getrf(library.solver, m, n, matrices + i * size, m,
                                    static_cast<T*>(work.get()), pivots + i * k, infos.get() + i));
    }
  });
}

/** Solves in x, column by column, with the factors of matrices or of their transposes. */
template <typename T>
void divide_all(array& factors, const int* pivots, T* x, int k, cublasOperation_t operation,
                const Stream& s) {
  const auto& routines = MatrixRoutines<T>::instance();
  int n = factors.shape(-1);
  int64_t count = matrix_count(factors), size = int64_t{n} * n, solution = int64_t{n} * k;
  T* matrices = elements<T>(factors);
  if (is_batch(count, n)) {
    Addresses<T> a(matrices, size, count, s), b(x, solution, count, s);
    call_library(s, [&](const MatrixLibrary& library) {
      int info = 0;
      check_matrices(routines.getrs_batched(library.blas, operation, n, k, a.get(), n, pivots,
                                            b.get(), n, &info, static_cast<int>(count)));
    });
    return;
  }
  Infos unused(1, s);
  call_library(s, [&](const MatrixLibrary& library) {
    for (int64_t i = 0; i < count; i++) {
      check_matrices(routines.getrs(library.solver, operation, n, k, matrices + i * size, n,
                                    pivots + i * n, x + i * solution, n, unused.get()));
    }
  });
}

/** X in row-major memory, which has the transposes of what the library makes. */
template <typename T>
void invert_all(array& factors, const int* pivots, array& x, const Stream& s) {
  int n = x.shape(-1);
  int64_t count = matrix_count(x), size = int64_t{n} * n;
  if (!is_batch(count, n)) {
    fill_identity(x, s);
    divide_all(factors, pivots, elements<T>(x), n, CUBLAS_OP_N, s);
    return;
  }
  Addresses<T> from(elements<T>(factors), size, count, s), to(elements<T>(x), size, count, s);
  Infos unused(count, s);
  call_library(s, [&](const MatrixLibrary& library) {
    check_matrices(MatrixRoutines<T>::instance().getri_batched(library.blas, n, from.get(), n,
                                                               pivots, to.get(), n, unused.get(),
                                                               static_cast<int>(count)));
  });
}

bool is_small(const array& a) {
  return std::max(a.shape(-2), a.shape(-1)) <= largest_small(a.dtype());
}

/** `b` is null for inverses. */
void solve_small(const array& matrices, const array* b, array& x, const Infos& infos,
                 const Stream& s) {
  array a = contiguous(matrices, s), right = b ? contiguous(*b, s) : a;
  kernels::SmallSystems call{a.shape(-1),         x.shape(-1),
                             input_address(a, s), b ? input_address(right, s) : nullptr,
                             output_address(x),   infos.get()};
  launch(kernel_of(solve_small_call(a.dtype(), a.shape(-1), x.shape(-1)), s),
         blocks_for(matrix_count(a), 1), small_threads, s, call);
}

void factor_small(const array& in, std::vector<array>& outputs, const Stream& s) {
  array a = with_plain_batch(in, s);
  kernels::SmallLU call{a.shape(-2),
                        a.shape(-1),
                        a.strides(-2),
                        a.strides(-1),
                        matrix_step(a),
                        input_address(a, s),
                        output_address(outputs[0]),
                        static_cast<uint32_t*>(output_address(outputs[1])),
                        static_cast<uint32_t*>(output_address(outputs[2]))};
  launch(kernel_of(factor_small_call(a.dtype(), std::max(a.shape(-2), a.shape(-1))), s),
         blocks_for(matrix_count(a), 1), small_threads, s, call);
}

/** Pivots and order of rows, outputs 1 and 2 of LU, from pivots that count from 1. */
void place_rows(const int* given, std::vector<array>& outputs, const Stream& s) {
  int64_t count = matrix_count(outputs[0]);
  kernels::Exchanges call{count,
                          outputs[1].shape(-1),
                          outputs[2].shape(-1),
                          given,
                          static_cast<uint32_t*>(output_address(outputs[1])),
                          static_cast<uint32_t*>(output_address(outputs[2]))};
  launch(kernel_of(order_rows_call(), s), blocks_for(count, 1), 256, s, call);
}

/** Device memory for pivots of the libraries. */
class Pivots {
 public:
  Pivots(int64_t count, const Stream& s) : memory_(static_cast<size_t>(count) * sizeof(int), s) {}
  int* get() const { return static_cast<int*>(memory_.get()); }

 private:
  Scratch memory_;
};

void factor_large(const array& in, std::vector<array>& outputs, const Stream& s) {
  array a = columns_copy(in, s);
  int64_t count = matrix_count(a);
  Infos infos(count, s);
  Pivots pivots(count * outputs[1].shape(-1), s);
  with_matrix_type(a.dtype(), [&](auto t) { factor_all<decltype(t)>(a, pivots.get(), infos, s); });
  share_view(a, outputs[0], a.strides());
  place_rows(pivots.get(), outputs, s);
}

void eval_lu(LU& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  bool empty = inputs[0].size() == 0, small = !empty && is_small(inputs[0]);
  if (!empty && !small && !MatrixLibrary::is_there()) {
    eval_on_host(primitive, inputs, outputs);
    return;
  }
  allocate_output(outputs[1], s);
  allocate_output(outputs[2], s);
  if (!empty && !small) {
    factor_large(inputs[0], outputs, s);
    return;
  }
  allocate_columns(outputs[0], s);
  if (small) {
    factor_small(inputs[0], outputs, s);
  } else if (outputs[2].size() > 0) {
    place_rows(nullptr, outputs, s);
  }
}

void eval_solve(Solve& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  array& out = outputs[0];
  bool small = is_small(inputs[0]) && is_small(out);
  if (out.size() == 0) {
    allocate_output(out, s);
    return;
  }
  if (!small && !MatrixLibrary::is_there()) {
    eval_on_host(primitive, inputs, outputs);
    return;
  }
  int64_t count = matrix_count(out);
  Infos infos(count, s);
  if (small) {
    allocate_output(out, s);
    solve_small(inputs[0], &inputs[1], out, infos, s);
  } else {
    array a = rows_copy(inputs[0], s), x = columns_copy(inputs[1], s);
    Pivots pivots(count * a.shape(-1), s);
    with_matrix_type(a.dtype(), [&](auto t) {
      using T = decltype(t);
      factor_all<T>(a, pivots.get(), infos, s);
      divide_all<T>(a, pivots.get(), elements<T>(x), x.shape(-1), CUBLAS_OP_T, s);
    });
    share_view(x, out, x.strides());
  }
  infos.report(kernels::FaultOp::solve, outputs);
}

void eval_inverse(Inverse& primitive, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  array& out = outputs[0];
  bool small = is_small(out);
  if (!small && !MatrixLibrary::is_there()) {
    eval_on_host(primitive, inputs, outputs);
    return;
  }
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  int64_t count = matrix_count(out);
  Infos infos(count, s);
  if (small) {
    solve_small(inputs[0], nullptr, out, infos, s);
  } else {
    array a = rows_copy(inputs[0], s);
    Pivots pivots(count * a.shape(-1), s);
    with_matrix_type(a.dtype(), [&](auto t) {
      factor_all<decltype(t)>(a, pivots.get(), infos, s);
      invert_all<decltype(t)>(a, pivots.get(), out, s);
    });
  }
  infos.report(kernels::FaultOp::inv, outputs);
}

const Register<LU> lu(host_if_wide<LU, eval_lu>);
const Register<Solve> solve(host_if_wide<Solve, eval_solve>);
const Register<Inverse> inverse(host_if_wide<Inverse, eval_inverse>);

}  // namespace

}  // namespace mlx::core::cuda
