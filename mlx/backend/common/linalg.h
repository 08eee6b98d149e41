// What the decompositions of all backends have alike: column-major layouts, and failures in words.
#pragma once

#include <string>

#include "mlx/array.h"
#include "mlx/core/errors.h"

namespace mlx::core {

/** Strides with which every matrix in the last two axes is column major and dense. */
Strides column_major_strides(const Shape& shape);

/** Calls f with a number of the type for float32, float64, complex64 (`Complex`) or complex128. */
template <typename Complex, typename WideComplex, typename F>
void with_number(Dtype dtype, F&& f) {
  if (dtype == float32) {
    f(float{});
  } else if (dtype == float64) {
    f(double{});
  } else if (dtype == complex64) {
    f(Complex{});
  } else {
    internal_check(dtype == complex128, "matrices of this dtype have no routines");
    f(WideComplex{});
  }
}

/** Matrices in the last two axes. */
int64_t matrix_count(const array& a);

/** An info code for elements that are NaN or infinite, beside those of the routines. */
inline constexpr int not_finite = -100;

// What is wrong with a matrix, by the info code of the routine that found it.
std::string not_positive(int info);
std::string zero_pivot(int info);
std::string zero_diagonal(int info);
std::string not_converged(int info);

/** The message of an exception about matrix `i` of a batch. */
std::string matrix_failure(const char* op, int64_t i, int64_t count, const std::string& why);

}  // namespace mlx::core
