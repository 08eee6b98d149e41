// Factorisations: each checks its input and builds one node.
#include "mlx/core/errors.h"
#include "mlx/linalg.h"
#include "mlx/ops.h"
#include "mlx/ops/linalg_checks.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::linalg {

void check_matrices(const char* op, const array& a) {
  Dtype part = real_dtype(a.dtype());
  check(
      part == float32 || part == float64, op,
      "Arrays must have type float32, float64, complex64 or complex128. Received array with type ",
      a.dtype(), ".");
  check(a.ndim() >= 2, op, "Arrays must have >= 2 dimensions. Received array with ", a.ndim(),
        " dimensions.");
}

void check_square(const char* op, const array& a) {
  check_matrices(op, a);
  check(a.shape(-1) == a.shape(-2), op, "Only defined for square matrices, not for shape ",
        a.shape(), ".");
}

namespace {

template <typename Node, typename... Fields>
std::vector<array> build(const array& a, StreamOrDevice s, Fields... fields) {
  return MatrixPrimitive::make(std::make_shared<Node>(to_stream(s), fields...), {a});
}

std::vector<array> eigh_by(const char* op, const array& a, const std::string& triangle,
                           bool vectors, StreamOrDevice s) {
  check_square(op, a);
  check(triangle == "L" || triangle == "U" || triangle == "l" || triangle == "u", op,
        "UPLO must be 'L' or 'U', not '", triangle, "'.");
  return build<Eigh>(a, s, triangle == "U" || triangle == "u", vectors);
}

}  // namespace

std::pair<array, array> qr(const array& a, StreamOrDevice s) {
  check_matrices("linalg::qr", a);
  auto parts = build<QR>(a, s);
  return {parts[0], parts[1]};
}

std::vector<array> svd(const array& a, bool compute_uv, StreamOrDevice s) {
  check_matrices("linalg::svd", a);
  return build<SVD>(a, s, compute_uv ? SVD::Vectors::full : SVD::Vectors::none);
}

std::vector<array> svd(const array& a, StreamOrDevice s) { return svd(a, true, s); }

std::vector<array> svd_reduced(const array& a, StreamOrDevice s) {
  check_matrices("linalg::svd", a);
  return build<SVD>(a, s, SVD::Vectors::reduced);
}

array svdvals(const array& a, StreamOrDevice s) { return svd(a, false, s)[0]; }

array cholesky(const array& a, bool upper, StreamOrDevice s) {
  check_square("linalg::cholesky", a);
  return build<Cholesky>(a, s, upper)[0];
}

std::vector<array> lu(const array& a, StreamOrDevice s) {
  check_matrices("linalg::lu", a);
  auto parts = build<LU>(a, s);
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  Shape from(a.ndim(), 0), lower = a.shape(), upper = a.shape();
  lower[a.ndim() - 1] = k;
  upper[a.ndim() - 2] = k;
  array l = tril(slice(parts[0], from, lower, s), -1, s);
  l = add(l, eye(m, k, 0, a.dtype(), s), s);
  return {argsort(parts[2], -1, s), l, triu(slice(parts[0], from, upper, s), 0, s)};
}

std::pair<array, array> lu_factor(const array& a, StreamOrDevice s) {
  check_matrices("linalg::lu_factor", a);
  auto parts = build<LU>(a, s);
  return {parts[0], parts[1]};
}

std::pair<array, array> eig(const array& a, StreamOrDevice s) {
  check_square("linalg::eig", a);
  auto parts = build<Eig>(a, s, true);
  return {parts[0], parts[1]};
}

array eigvals(const array& a, StreamOrDevice s) {
  check_square("linalg::eigvals", a);
  return build<Eig>(a, s, false)[0];
}

array eigvalsh(const array& a, std::string UPLO, StreamOrDevice s) {
  return eigh_by("linalg::eigvalsh", a, UPLO, false, s)[0];
}

std::pair<array, array> eigh(const array& a, std::string UPLO, StreamOrDevice s) {
  auto parts = eigh_by("linalg::eigh", a, UPLO, true, s);
  return {parts[0], parts[1]};
}

}  // namespace mlx::core::linalg
