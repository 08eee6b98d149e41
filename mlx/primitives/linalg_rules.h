// Words that the derivative rules of linear algebra are written in. All go to the default stream.
#pragma once

#include <initializer_list>

#include "mlx/array.h"

namespace mlx::core {

/** The shape of `a` with other extents in place of its last two. */
Shape with_last(const array& a, std::initializer_list<int> last);

array adjoint(const array& x);

/** (A + A^H) / 2. */
array hermitian_part(const array& a);

/** X with A X = B for triangular A. `unit`: the diagonal counts as ones. */
array solve_triangular(const array& a, const array& b, bool upper, bool unit = false);

/** B A^-1 for triangular A. */
array divide_triangular(const array& b, const array& a, bool upper, bool unit = false);

/** 1 / x, and zero where x is. */
array reciprocal_or_zero(const array& x);

/** 1 / (w_j - w_i) for all pairs of the last axis; zero where they are equal as far as n values
 * with an error of eps times the largest can tell. */
array reciprocal_gaps(const array& w);

/** The vectors in the last axis as diagonal matrices. */
array diagonal_matrix(const array& d);

/** The diagonals of square matrices. */
array diagonal_of(const array& a);

/** Columns `begin` up to `end` of a matrix, and its rows. */
array columns(const array& a, int begin, int end);
array rows(const array& a, int begin, int end);

/** The real part, in the dtype of real parts. */
array real_part(const array& x);

}  // namespace mlx::core
