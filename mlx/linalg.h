// Linear algebra over the last two axes. Norms and the cross product are there; decompositions,
// solvers and determinants are declared for what is to come.
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
 * largest and smallest magnitude) or two (matrices: 1, -1, inf, -inf, "fro"), of all axes if none
 * are given. Without `ord`, the root of the sum of squares. Sums are made in float32 at least; the
 * result has the dtype of `a`, float32 for integers and complex64. Throws std::invalid_argument for
 * other orders and axes, and std::runtime_error for the orders 2, -2 and "nuc" of matrices, which
 * need singular values.
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

std::pair<array, array> qr(const array& a, StreamOrDevice s = {});
std::vector<array> svd(const array& a, bool compute_uv, StreamOrDevice s);
std::vector<array> svd(const array& a, StreamOrDevice s = {});
array inv(const array& a, StreamOrDevice s = {});
array tri_inv(const array& a, bool upper = false, StreamOrDevice s = {});
array cholesky(const array& a, bool upper = false, StreamOrDevice s = {});
array pinv(const array& a, StreamOrDevice s = {});
array cholesky_inv(const array& a, bool upper = false, StreamOrDevice s = {});
std::vector<array> lu(const array& a, StreamOrDevice s = {});
std::pair<array, array> lu_factor(const array& a, StreamOrDevice s = {});
array solve(const array& a, const array& b, StreamOrDevice s = {});
array solve_triangular(const array& a, const array& b, bool upper = false, StreamOrDevice s = {});
std::pair<array, array> eig(const array& a, StreamOrDevice s = {});
array eigvals(const array& a, StreamOrDevice s = {});
array eigvalsh(const array& a, std::string UPLO = "L", StreamOrDevice s = {});
std::pair<array, array> eigh(const array& a, std::string UPLO = "L", StreamOrDevice s = {});
array det(const array& a, StreamOrDevice s = {});
std::pair<array, array> slogdet(const array& a, StreamOrDevice s = {});

}  // namespace mlx::core::linalg
