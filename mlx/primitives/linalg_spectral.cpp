// Derivatives of singular values, eigenvalues and their vectors. Vectors of equal values are not
// unique and have no derivative: there the rules let them turn as little as they can, that is not
// at all within their space, which is right for everything that does not depend on the choice.
#include <algorithm>

#include "mlx/ops.h"
#include "mlx/primitives/linalg.h"
#include "mlx/primitives/linalg_rules.h"

namespace mlx::core {

namespace {

/** Scales column j by s_j, and row i by s_i. */
array times_columns(const array& a, const array& s) { return a * expand_dims(s, -2); }
array times_rows(const array& s, const array& a) { return expand_dims(s, -1) * a; }

/** How U = [U1 U2] and V^H = [V1^H; V2^H] turn, where U2 and V2 exist for full ones. */
std::vector<array> turned_vectors(const array& da, const array& u, const array& s, const array& vt,
                                  const array& p) {
  int k = s.shape(-1);
  array u1 = columns(u, 0, k), v1 = adjoint(rows(vt, 0, k));
  array inverse = reciprocal_or_zero(s);
  // 1 / (s_j^2 - s_i^2)
  array gaps = reciprocal_gaps(s) * reciprocal_or_zero(expand_dims(s, -2) + expand_dims(s, -1));
  array ph = adjoint(p);
  array turn_u = gaps * (times_columns(p, s) + times_rows(s, ph));
  array turn_v = gaps * (times_rows(s, p) + times_columns(ph, s));
  if (is_complex_dtype(p.dtype())) {  // the phase that S, being real, does not take
    array d = diagonal_of(p);
    turn_u = turn_u + diagonal_matrix((d - conjugate(d)) * array(0.5f, d.dtype()) * inverse);
  }
  array from_v = times_columns(matmul(da, v1), inverse);           // dA V S^-1
  array from_u = times_columns(matmul(adjoint(da), u1), inverse);  // dA^H U S^-1
  array du = matmul(u1, turn_u) + from_v - matmul(u1, matmul(adjoint(u1), from_v));
  array dv = matmul(v1, turn_v) + from_u - matmul(v1, matmul(adjoint(v1), from_u));
  if (u.shape(-1) > k) {
    array u2 = columns(u, k, u.shape(-1));
    du = concatenate({du, negative(matmul(u1, adjoint(matmul(adjoint(u2), from_v))))}, -1);
  }
  if (vt.shape(-2) > k) {
    array v2 = adjoint(rows(vt, k, vt.shape(-2)));
    dv = concatenate({dv, negative(matmul(v1, adjoint(matmul(adjoint(v2), from_u))))}, -1);
  }
  return {du, adjoint(dv)};
}

}  // namespace

MatrixPrimitive::Outputs SVD::outputs_for(const Arrays& inputs) const {
  const array& a = inputs[0];
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  std::pair<Shape, Dtype> s{with_last(a, {k}), real_dtype(a.dtype())};
  if (vectors_ == Vectors::none) {
    return {s};
  }
  bool full = vectors_ == Vectors::full;
  return {{with_last(a, {m, full ? m : k}), a.dtype()},
          s,
          {with_last(a, {full ? n : k, n}), a.dtype()}};
}

MatrixPrimitive::Arrays SVD::push(const Differential& d) const {
  bool alone = vectors_ == Vectors::none;
  auto parts =
      alone ? make(std::make_shared<SVD>(stream(), Vectors::reduced), d.primals) : d.outputs;
  const array &u = parts[0], &s = parts[1], &vt = parts[2], &da = d.tangents[0];
  int k = s.shape(-1);
  array p = matmul(matmul(adjoint(columns(u, 0, k)), da), adjoint(rows(vt, 0, k)));
  array ds = real_part(diagonal_of(p));
  if (alone) {
    return {ds};
  }
  auto turned = turned_vectors(da, u, s, vt, p);
  return {turned[0], ds, turned[1]};
}

MatrixPrimitive::Outputs Eigh::outputs_for(const Arrays& inputs) const {
  const array& a = inputs[0];
  Outputs outputs = {{with_last(a, {a.shape(-1)}), real_dtype(a.dtype())}};
  if (vectors_) {
    outputs.push_back({a.shape(), a.dtype()});
  }
  return outputs;
}

MatrixPrimitive::Arrays Eigh::push(const Differential& d) const {
  auto parts =
      vectors_ ? d.outputs : make(std::make_shared<Eigh>(stream(), upper_, true), d.primals);
  const array &w = parts[0], &v = parts[1];
  array p = matmul(matmul(adjoint(v), hermitian_part(d.tangents[0])), v);
  array dw = real_part(diagonal_of(p));
  if (!vectors_) {
    return {dw};
  }
  return {dw, matmul(v, reciprocal_gaps(w) * p)};
}

MatrixPrimitive::Outputs Eig::outputs_for(const Arrays& inputs) const {
  const array& a = inputs[0];
  Dtype dtype = complex_dtype(a.dtype());
  Outputs outputs = {{with_last(a, {a.shape(-1)}), dtype}};
  if (vectors_) {
    outputs.push_back({a.shape(), dtype});
  }
  return outputs;
}

MatrixPrimitive::Arrays Eig::push(const Differential& d) const {
  auto parts = vectors_ ? d.outputs : make(std::make_shared<Eig>(stream(), true), d.primals);
  const array &w = parts[0], &v = parts[1];
  array da = astype(d.tangents[0], v.dtype());
  array p = make(std::make_shared<Solve>(stream()), {v, matmul(da, v)})[0];
  array dw = diagonal_of(p);
  if (!vectors_) {
    return {dw};
  }
  array dv = matmul(v, reciprocal_gaps(w) * p);
  // Vectors keep their length.
  array along = sum(real(conjugate(v) * dv), -2, true);
  return {dw, dv - v * astype(along, v.dtype())};
}

}  // namespace mlx::core
