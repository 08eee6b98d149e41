// Systems of equations, inverses and pseudo-inverses.
#include "mlx/core/errors.h"
#include "mlx/linalg.h"
#include "mlx/ops.h"
#include "mlx/ops/linalg_checks.h"
#include "mlx/primitives/linalg.h"
#include "mlx/primitives/matmul.h"
#include "mlx/transforms.h"

namespace mlx::core::linalg {

namespace {

Shape batch_of(const array& a) { return Shape(a.shape().begin(), a.shape().end() - 2); }

/** `a` with its batch broadcast. */
array with_batch(const array& a, Shape shape, StreamOrDevice s) {
  shape.push_back(a.shape(-2));
  shape.push_back(a.shape(-1));
  return broadcast_to(a, shape, s);
}

void check_right_side(const char* op, const array& a, const array& b) {
  int axis = b.ndim() == 1 ? -1 : -2;
  check(b.ndim() >= 1 && a.shape(-2) == b.shape(axis), op,
        "The rows of the matrices and of the right-hand sides do not match for inputs of shapes ",
        a.shape(), " and ", b.shape(), ".");
  check(a.dtype() == b.dtype(), op, "Both inputs need the same dtype, not ", a.dtype(), " and ",
        b.dtype(), ".");
}

/** The node's solution, for vectors as for matrices of one column. */
template <typename Node, typename... Fields>
array solution(const char* op, const array& a, const array& b, StreamOrDevice s, Fields... fields) {
  check_square(op, a);
  check_right_side(op, a, b);
  bool vector = b.ndim() == 1;
  array right = vector ? expand_dims(b, 1, s) : b;
  Shape batch = broadcast_shapes(batch_of(a), batch_of(right));
  auto node = std::make_shared<Node>(to_stream(s), fields...);
  array x = MatrixPrimitive::make(node, {with_batch(a, batch, s), with_batch(right, batch, s)})[0];
  return vector ? squeeze(x, -1, s) : x;
}

double default_rcond(const array& a) {
  return std::max(a.shape(-1), a.shape(-2)) * finfo(a.dtype()).eps;
}

/** Which singular values count as zero. */
array negligible(const array& values, double rcond, StreamOrDevice s) {
  array largest = max(values, -1, true, s);
  return less_equal(values, multiply(largest, array(rcond, values.dtype()), s), s);
}

array pinv_by_svd(const array& a, double rcond, StreamOrDevice s) {
  if (a.size() == 0) {
    return zeros_like(swapaxes(a, -1, -2, s), s);
  }
  Stream stream = to_stream(s);
  auto parts = svd_reduced(a, s);
  array zero = negligible(parts[1], rcond, s);
  array one(1.0f, parts[1].dtype());
  array inverse =
      divide(astype(logical_not(zero, s), parts[1].dtype(), s), where(zero, one, parts[1], s), s);
  array v = multiply(adjoint(parts[2], stream), expand_dims(inverse, -2, s), s);
  return matmul(v, adjoint(parts[0], stream), s);
}

/** dX = -X dA X + X X^H dA^H (1 - A X) + (1 - X A) dA^H X^H X. */
array pinv_tangent(const array& a, const array& x, const array& da, Stream s) {
  array dah = adjoint(da, s), xh = adjoint(x, s);
  array right = matmul(matmul(matmul(x, xh, s), dah, s),
                       subtract(eye(a.shape(-2), a.dtype(), s), matmul(a, x, s), s), s);
  array left = matmul(subtract(eye(a.shape(-1), a.dtype(), s), matmul(x, a, s), s),
                      matmul(matmul(dah, xh, s), x, s), s);
  return subtract(add(right, left, s), matmul(matmul(x, da, s), x, s), s);
}

}  // namespace

array inv(const array& a, StreamOrDevice s) {
  check_square("linalg::inv", a);
  return MatrixPrimitive::make(std::make_shared<Inverse>(to_stream(s)), {a})[0];
}

array tri_inv(const array& a, bool upper, StreamOrDevice s) {
  check_square("linalg::tri_inv", a);
  return solution<TriangularSolve>("linalg::tri_inv", a, eye(a.shape(-1), a.dtype(), s), s, upper,
                                   false);
}

array cholesky_inv(const array& a, bool upper, StreamOrDevice s) {
  check_square("linalg::cholesky_inv", a);
  array x = tri_inv(a, upper, s), xh = adjoint(x, to_stream(s));
  return upper ? matmul(x, xh, s) : matmul(xh, x, s);
}

array solve(const array& a, const array& b, StreamOrDevice s) {
  return solution<Solve>("linalg::solve", a, b, s);
}

array solve_triangular(const array& a, const array& b, bool upper, StreamOrDevice s) {
  return solution<TriangularSolve>("linalg::solve_triangular", a, b, s, upper, false);
}

array pinv(const array& a, double rcond, StreamOrDevice s) {
  check_matrices("linalg::pinv", a);
  Stream stream = to_stream(s);
  auto value = [=](const std::vector<array>& in) {
    return std::vector<array>{pinv_by_svd(in[0], rcond, stream)};
  };
  auto jvp_rule = [=](const std::vector<array>& primals, const std::vector<array>& tangents,
                      const std::vector<int>&) {
    array x = pinv(primals[0], rcond, stream);
    return std::vector<array>{pinv_tangent(primals[0], x, tangents[0], stream)};
  };
  auto vjp_rule = [=](const std::vector<array>& primals, const std::vector<array>& cotangents,
                      const std::vector<array>&) {
    array x = pinv(primals[0], rcond, stream);
    auto rule = [&](const std::vector<array>& da) {
      return std::vector<array>{pinv_tangent(primals[0], x, da[0], stream)};
    };
    return core::vjp(rule, {zeros_like(primals[0], stream)}, cotangents).second;
  };
  return custom_function(value, vjp_rule, jvp_rule)({a})[0];
}

array pinv(const array& a, StreamOrDevice s) {
  check_matrices("linalg::pinv", a);
  return pinv(a, default_rcond(a), s);
}

std::vector<array> lstsq(const array& a, const array& b, std::optional<double> rcond,
                         StreamOrDevice s) {
  constexpr const char* op = "linalg::lstsq";
  check_matrices(op, a);
  check_right_side(op, a, b);
  bool vector = b.ndim() == 1;
  array right = vector ? expand_dims(b, 1, s) : b;
  double cut = rcond ? *rcond : default_rcond(a);
  array x = matmul(pinv(a, cut, s), right, s);
  array rest = abs(subtract(matmul(a, x, s), right, s), s);
  array squares = sum(square(rest, s), -2, false, s);
  array values = svdvals(a, s);
  array rank =
      values.size() == 0
          ? zeros(batch_of(a), int32, s)
          : sum(astype(logical_not(negligible(values, cut, s), s), int32, s), -1, false, s);
  if (vector) {
    return {squeeze(x, -1, s), squeeze(squares, -1, s), rank, values};
  }
  return {x, squares, rank, values};
}

array matrix_rank(const array& a, std::optional<double> tol, StreamOrDevice s) {
  check_matrices("linalg::matrix_rank", a);
  array values = svdvals(a, s);
  if (values.size() == 0) {
    return zeros(batch_of(a), int32, s);
  }
  array zero = tol ? less_equal(values, array(*tol, values.dtype()), s)
                   : negligible(values, default_rcond(a), s);
  return sum(astype(logical_not(zero, s), int32, s), -1, false, s);
}

array cond(const array& a, StreamOrDevice s) { return cond(a, 2.0, s); }

array cond(const array& a, double p, StreamOrDevice s) {
  check_matrices("linalg::cond", a);
  if (std::abs(p) == 2) {
    array values = svdvals(a, s);
    array largest = max(values, -1, false, s), smallest = min(values, -1, false, s);
    return p > 0 ? divide(largest, smallest, s) : divide(smallest, largest, s);
  }
  return multiply(matrix_norm(a, p, false, s), matrix_norm(inv(a, s), p, false, s), s);
}

array cond(const array& a, const std::string& p, StreamOrDevice s) {
  check_square("linalg::cond", a);
  return multiply(matrix_norm(a, p, false, s), matrix_norm(inv(a, s), p, false, s), s);
}

}  // namespace mlx::core::linalg
