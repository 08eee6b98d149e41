// Derivatives of the triangular factorisations: Cholesky, LU and QR.
#include <algorithm>

#include "mlx/ops.h"
#include "mlx/primitives/linalg.h"
#include "mlx/primitives/linalg_rules.h"

namespace mlx::core {

namespace {

/** The lower triangle with half of the diagonal: what L^-1 dL is of L^-1 dA L^-H. */
array half_lower(const array& a) {
  array half = diagonal_matrix(diagonal_of(a)) * array(0.5f, a.dtype());
  return tril(a) - half;
}

}  // namespace

MatrixPrimitive::Outputs Cholesky::outputs_for(const Arrays& inputs) const {
  return {{inputs[0].shape(), inputs[0].dtype()}};
}

MatrixPrimitive::Arrays Cholesky::push(const Differential& d) const {
  array l = upper_ ? adjoint(d.outputs[0]) : d.outputs[0];
  array left = solve_triangular(l, hermitian_part(d.tangents[0]), false);
  array inner = adjoint(solve_triangular(l, adjoint(left), false));
  array dl = matmul(l, half_lower(inner));
  return {upper_ ? adjoint(dl) : dl};
}

MatrixPrimitive::Outputs LU::outputs_for(const Arrays& inputs) const {
  const array& a = inputs[0];
  int m = a.shape(-2), k = std::min(m, a.shape(-1));
  return {{a.shape(), a.dtype()}, {with_last(a, {k}), uint32}, {with_last(a, {m}), uint32}};
}

MatrixPrimitive::Arrays LU::push(const Differential& d) const {
  const array& packed = d.outputs[0];
  int m = d.primals[0].shape(-2), n = d.primals[0].shape(-1), k = std::min(m, n);
  array da = take_along_axis(d.tangents[0], expand_dims(d.outputs[2], -1), -2);
  array square = columns(rows(packed, 0, k), 0, k);
  array da_square = columns(rows(da, 0, k), 0, k);
  array lower = tril(square, -1), upper = triu(square);
  auto l_solve = [&](const array& b) { return solve_triangular(square, b, false, true); };
  auto u_divide = [&](const array& b) { return divide_triangular(b, square, true); };
  array f = u_divide(l_solve(da_square));
  array f_lower = tril(f, -1), du = matmul(triu(f), upper);
  array dl = matmul(lower, f_lower) + f_lower;
  array out = dl + du;
  if (m > n) {  // A2 = L2 U
    array l2 = rows(packed, k, m);
    out = concatenate({out, u_divide(rows(da, k, m) - matmul(l2, du))}, -2);
  } else if (n > m) {  // A2 = L U2
    array u2 = columns(packed, k, n);
    out = concatenate({out, l_solve(columns(da, k, n) - matmul(dl, u2))}, -1);
  }
  return {out, zeros_like(d.outputs[1]), zeros_like(d.outputs[2])};
}

MatrixPrimitive::Outputs QR::outputs_for(const Arrays& inputs) const {
  const array& a = inputs[0];
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  return {{with_last(a, {m, k}), a.dtype()}, {with_last(a, {k, n}), a.dtype()}};
}

MatrixPrimitive::Arrays QR::push(const Differential& d) const {
  const array &q = d.outputs[0], &r = d.outputs[1], &da = d.tangents[0];
  int m = d.primals[0].shape(-2), n = d.primals[0].shape(-1), k = std::min(m, n);
  array r_square = columns(r, 0, k);
  array x = divide_triangular(columns(da, 0, k), r_square, true);
  array qx = matmul(adjoint(q), x);
  // Q^H dQ is skew, and dR R^-1 = Q^H dA R^-1 - Q^H dQ upper with a real diagonal.
  array below = tril(qx, -1);
  array skew = below - adjoint(below);
  if (is_complex_dtype(q.dtype())) {
    array diagonal = diagonal_of(qx);
    skew = skew + diagonal_matrix(diagonal - astype(real(diagonal), q.dtype()));
  }
  array dq = x - matmul(q, qx - skew);
  array dr = matmul(qx - skew, r_square);
  if (n > m) {  // R2 = Q^H A2
    array dr2 =
        matmul(adjoint(dq), columns(d.primals[0], k, n)) + matmul(adjoint(q), columns(da, k, n));
    dr = concatenate({dr, dr2}, -1);
  }
  return {dq, dr};
}

}  // namespace mlx::core
