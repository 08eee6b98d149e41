// Linear algebra over the last two axes; the axes before them are a batch. Errors are multiples of
// n eps, n the larger extent and eps that of the dtype (of float32 for complex64), where |x| is the
// Frobenius norm; test_linalg_accuracy.py measures them on matrices of every condition. Inputs are
// float32, float64 or complex64, and std::invalid_argument is thrown for other dtypes and for
// shapes that do not fit. What turns up when it runs, such as a singular matrix, is a
// std::runtime_error that says which matrix of the batch and why.
//
// Everything but indices has derivatives of every order. Where singular values or eigenvalues are
// equal (to n eps of the largest), their vectors count as not turning within their space: right for
// all that does not depend on the choice of them. Matrices that have to be Hermitian have Hermitian
// gradients.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::linalg {

/**
 * Norms: of order `ord` over one axis (vectors: 0 counts what is not zero, inf and -inf take the
 * largest and smallest magnitude) or two (matrices: 1, -1, inf, -inf, "fro"; 2, -2 and "nuc" of the
 * singular values), of all axes if none are given. Without `ord`, the root of the sum of squares.
 * Sums are made in float32 at least; the result has the dtype of `a`, float32 for integers and
 * complex64. Throws std::invalid_argument for other orders and axes.
 */
array norm(const array& a, const double ord,
           const std::optional<std::vector<int>>& axis = std::nullopt, bool keepdims = false,
           StreamOrDevice s = {});
array norm(const array& a, const double ord, int axis, bool keepdims = false,
           StreamOrDevice s = {});
array norm(const array& a, const std::string& ord,
           const std::optional<std::vector<int>>& axis = std::nullopt, bool keepdims = false,
           StreamOrDevice s = {});
array norm(const array& a, const std::string& ord, int axis, bool keepdims = false,
           StreamOrDevice s = {});
array norm(const array& a, const std::optional<std::vector<int>>& axis = std::nullopt,
           bool keepdims = false, StreamOrDevice s = {});
array norm(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

/**
 * The cross product along an axis of extent 3; an extent of 2 counts as having a third element of
 * zero. The other axes broadcast.
 */
array cross(const array& a, const array& b, int axis = -1, StreamOrDevice s = {});

/** `norm` of the vectors in an axis, of all that several axes hold (of all elements without any),
 * and of the matrices in two. */
array vector_norm(const array& a, double ord = 2, const std::optional<std::vector<int>>& axis = {},
                  bool keepdims = false, StreamOrDevice s = {});
array matrix_norm(const array& a, double ord, bool keepdims = false, StreamOrDevice s = {});
array matrix_norm(const array& a, const std::string& ord = "fro", bool keepdims = false,
                  StreamOrDevice s = {});

// ------------ Factorisations of (…, m, n); k = min(m, n)

/** A = Q R: Q (…, m, k) with orthonormal columns, R (…, k, n) upper triangular, by reflections.
 *  |A - QR| <= 5 n eps |A|, |Q^H Q - 1| <= 5 n eps (10 n eps on the GPU where a side exceeds 64).
 *  Derivatives need columns 1 to k independent. */
std::pair<array, array> qr(const array& a, StreamOrDevice s = {});

/**
 * A = U S V^H: U (…, m, m), S (…, k) descending and real, V^H (…, n, n); or {S} alone.
 * |A - USV^H| <= 20 n eps |A|, mostly 2 n eps; |U^H U - 1| <= 5 n eps (50 n eps on the GPU where
 * the longer side exceeds 64), and the same for V. Throws for elements that are not finite.
 */
std::vector<array> svd(const array& a, bool compute_uv, StreamOrDevice s);
std::vector<array> svd(const array& a, StreamOrDevice s = {});
/** The same with U (…, m, k) and V^H (…, k, n). */
std::vector<array> svd_reduced(const array& a, StreamOrDevice s = {});
array svdvals(const array& a, StreamOrDevice s = {});

/** Of a Hermitian positive definite A: lower L with A = L L^H, or upper U with A = U^H U; only that
 *  triangle is read. |A - LL^H| <= 5 n eps |A|. Throws where A is not positive definite. */
array cholesky(const array& a, bool upper = false, StreamOrDevice s = {});

/** {p (…, m) uint32, L (…, m, k) unit lower, U (…, k, n)} with A = L[p] U, by partial pivoting.
 *  |A - L[p]U| <= 5 n eps |L| |U|. A singular matrix has zeros on the diagonal of U. */
std::vector<array> lu(const array& a, StreamOrDevice s = {});
/** L and U in one matrix, and the row that each of the first k rows was exchanged with (uint32). */
std::pair<array, array> lu_factor(const array& a, StreamOrDevice s = {});

// ------------ Square matrices (…, n, n)

/** |A X - 1| <= 5 n eps |A| |X|. Throws where a pivot is zero. */
array inv(const array& a, StreamOrDevice s = {});
/** Of a triangular matrix, of which the other triangle is not read. The error is that of inv. */
array tri_inv(const array& a, bool upper = false, StreamOrDevice s = {});
/** The inverse X of A from its Cholesky factor L, or U. |A X - 1| <= 5 n eps |A| |L^-1|^2. */
array cholesky_inv(const array& a, bool upper = false, StreamOrDevice s = {});

/** Eigenvalues (…, n) in no order and eigenvectors of length 1 in the columns of (…, n, n), all
 *  complex64. |A V - V W| <= 5 n eps |A|, eps of float32. Throws for elements that are not finite.
 */
std::pair<array, array> eig(const array& a, StreamOrDevice s = {});
array eigvals(const array& a, StreamOrDevice s = {});
/** Of a Hermitian matrix, of which the triangle "L" or "U" is read: real eigenvalues, ascending,
 *  and orthonormal eigenvectors. |A V - V W| <= 5 n eps |A|, |V^H V - 1| <= 5 n eps. All are NaN
 *  where elements are not finite. */
array eigvalsh(const array& a, std::string UPLO = "L", StreamOrDevice s = {});
std::pair<array, array> eigh(const array& a, std::string UPLO = "L", StreamOrDevice s = {});

/** By LU, that of integers and half types in float32; float32 for integers. The derivatives need an
 *  invertible matrix. */
array det(const array& a, StreamOrDevice s = {});
/** det(A) = sign exp(logabsdet); {0, -inf} of a singular matrix. float32 for integers. */
std::pair<array, array> slogdet(const array& a, StreamOrDevice s = {});

/** A multiplied `n` times, of any dtype; for negative n its inverse is. */
array matrix_power(const array& a, int n, StreamOrDevice s = {});

/**
 * e^A by scaling, a Padé approximant and squaring (Higham, 2005): an error of about n eps |A|
 * |e^A|. At most 16 squarings: the result is NaN for matrices with a 1-norm past 2.5e5
 * (float64 3.5e5).
 */
array expm(const array& a, StreamOrDevice s = {});

/** The sum of the diagonal `offset` places above the main one, of any dtype. */
array trace(const array& a, int offset = 0, StreamOrDevice s = {});

// ------------ Systems of equations and what singular values say

/** X with A X = B; B is (…, n, k), or (n,) with one axis. Batches broadcast.
 *  |A X - B| <= 5 n eps |A| |X|. Throws where a pivot is zero. */
array solve(const array& a, const array& b, StreamOrDevice s = {});
array solve_triangular(const array& a, const array& b, bool upper = false, StreamOrDevice s = {});

/** The pseudo-inverse (…, n, m): singular values up to `rcond` times the largest count as zero, by
 *  default max(m, n) eps. The derivative is that for matrices of the same rank. */
array pinv(const array& a, StreamOrDevice s = {});
array pinv(const array& a, double rcond, StreamOrDevice s = {});

/** {X, squares, rank, S}: the shortest X of those with the smallest |A X - B|, the sums of squares
 * of what remains of each column of B, the rank (int32) and the singular values of A. B and `rcond`
 *  as for solve and pinv. */
std::vector<array> lstsq(const array& a, const array& b, std::optional<double> rcond = {},
                         StreamOrDevice s = {});

/** Singular values above `tol`, by default max(m, n) eps times the largest (int32). */
array matrix_rank(const array& a, std::optional<double> tol = {}, StreamOrDevice s = {});

/** norm(A) norm(A^-1) of order `p` as `norm` has them; of order 2 by default, for any shape. */
array cond(const array& a, StreamOrDevice s = {});
array cond(const array& a, double p, StreamOrDevice s = {});
array cond(const array& a, const std::string& p, StreamOrDevice s = {});

}  // namespace mlx::core::linalg
