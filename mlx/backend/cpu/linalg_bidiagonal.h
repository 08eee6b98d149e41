// The SVD of matrices with two diagonals on the CPU, by divide and conquer whose parts go in
// parallel.
#pragma once

namespace mlx::core::cpu {

/** Of an n x n matrix with the diagonal d and the n - 1 numbers e above (`upper`) or below it. d
 *  becomes its singular values, descending, u and vt their vectors, column major; e is overwritten.
 *  Returns LAPACK's info. */
template <typename Real>
int decompose_bidiagonal(bool upper, int n, Real* d, Real* e, Real* u, Real* vt);

}  // namespace mlx::core::cpu
