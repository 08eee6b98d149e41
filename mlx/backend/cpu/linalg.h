// What the decompositions on the CPU share: matrices in the layouts that LAPACK wants, the walk
// over a batch, and failures that say which matrix of it.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/backend/common/linalg.h"
#include "mlx/backend/cpu/lapack.h"
#include "mlx/core/errors.h"
#include "mlx/core/function_ref.h"

namespace mlx::core::cpu {

/** Calls f with a number of the C++ type of float32, float64, complex64 or complex128. */
template <typename F>
void with_matrix_type(Dtype dtype, F&& f) {
  with_number<std::complex<float>, std::complex<double>>(dtype, std::forward<F>(f));
}

/** The elements of `a` as their C++ type. */
template <typename T>
T* elements(array& a) {
  return reinterpret_cast<T*>(a.data<char>());
}

/** Memory in which every matrix is column major. */
void allocate_columns(array& out);

/** A copy to work in, column major or row contiguous. */
array columns_copy(const array& a);
array rows_copy(const array& a);

/** Makes `out` own the buffer of `from`, with other strides. */
void take_buffer(const array& from, array& out, const Strides& strides);

/** Whether none is NaN or infinite. */
template <typename T>
bool all_finite(const T* x, int64_t count) {
  // The product with zero is NaN for what is not finite.
  T sum{};
  for (int64_t i = 0; i < count; i++) {
    sum += x[i] * typename RealPart<T>::type(0);
  }
  return sum == sum;
}

/** Whether LAPACK would take its singular values or eigenvalues without scaling it first. */
template <typename T>
bool needs_no_scaling(const T* x, int64_t count) {
  using Real = typename RealPart<T>::type;
  using Limits = std::numeric_limits<Real>;
  Real most = 0, least = std::sqrt(Limits::min()) / Limits::epsilon();
  for (int64_t i = 0; i < count; i++) {
    most = std::max({most, std::abs(std::real(x[i])), std::abs(std::imag(x[i]))});
  }
  return most == 0 || (most > least && most < 1 / least);
}

/** The least size of a matrix whose vectors several threads bring back. */
constexpr int worth_threads = 128;

/**
 * Runs f(i) for every matrix: in parallel, each in one thread, or one after the other where each
 * uses all threads itself. `work` is roughly how many operations a matrix takes. Throws
 * std::runtime_error for the first matrix whose f does not return 0 as its info code, which
 * `explain` puts in words.
 */
void for_matrices(const char* op, int64_t count, double work, bool threaded_inside,
                  FunctionRef<int(int64_t)> f, std::string (*explain)(int info));

/** f(begin, end) over columns (or rows) in parallel, in blocks that suit matrix products. */
void for_blocks(int64_t n, FunctionRef<void(int begin, int end)> f);

/** The same, with first() as one task more, which is begun before the others. */
void for_blocks_after(FunctionRef<void()> first, int64_t n, FunctionRef<void(int, int)> f);

/** A size of workspace as LAPACK tells it. Throws where its 32-bit numbers do not reach. */
int workspace_size(const char* op, double wanted);

/** Calls f(work, size) of a LAPACK routine with as much workspace as a first call asks for. */
template <typename T, typename F>
void with_workspace(const char* op, F&& f) {
  T wanted{};
  f(&wanted, -1);
  std::vector<T> work(workspace_size(op, std::real(wanted)));
  f(work.data(), static_cast<int>(work.size()));
}

}  // namespace mlx::core::cpu
