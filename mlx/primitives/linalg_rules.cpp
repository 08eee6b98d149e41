// The words of the derivative rules, as public ops.
#include "mlx/primitives/linalg_rules.h"

#include "mlx/ops.h"
#include "mlx/primitives/linalg.h"
#include "mlx/primitives/matmul.h"

namespace mlx::core {

Shape with_last(const array& a, std::initializer_list<int> last) {
  Shape shape(a.shape().begin(), a.shape().end() - 2);
  shape.insert(shape.end(), last.begin(), last.end());
  return shape;
}

array adjoint(const array& x) { return adjoint(x, to_stream({})); }

array hermitian_part(const array& a) { return (a + adjoint(a)) * array(0.5f, a.dtype()); }

array solve_triangular(const array& a, const array& b, bool upper, bool unit) {
  auto node = std::make_shared<TriangularSolve>(to_stream({}), upper, unit);
  return MatrixPrimitive::make(node, {a, b})[0];
}

array divide_triangular(const array& b, const array& a, bool upper, bool unit) {
  array transposed = solve_triangular(swapaxes(a, -1, -2), swapaxes(b, -1, -2), !upper, unit);
  return swapaxes(transposed, -1, -2);
}

array reciprocal_or_zero(const array& x) {
  array zero(0.0f, x.dtype()), one(1.0f, x.dtype());
  array none = equal(x, zero);
  return where(none, zero, one / where(none, one, x));
}

array reciprocal_gaps(const array& w) {
  int n = w.shape(-1);
  if (n == 0) {
    return zeros(with_last(expand_dims(w, -1), {n, n}), w.dtype());
  }
  array gaps = expand_dims(w, -2) - expand_dims(w, -1);
  array largest = expand_dims(max(abs(w), -1, true), -1);
  array none = abs(gaps) <= largest * array(n * finfo(w.dtype()).eps, largest.dtype());
  array zero(0.0f, w.dtype()), one(1.0f, w.dtype());
  return where(none, zero, one / where(none, one, gaps));
}

array diagonal_matrix(const array& d) { return expand_dims(d, -1) * eye(d.shape(-1), d.dtype()); }

array diagonal_of(const array& a) { return diagonal(a, 0, -2, -1); }

namespace {

array part(const array& a, int axis, int begin, int end) {
  Shape start(a.ndim(), 0), stop = a.shape();
  start[a.ndim() - axis] = begin;
  stop[a.ndim() - axis] = end;
  return slice(a, start, stop);
}

}  // namespace

array columns(const array& a, int begin, int end) { return part(a, 1, begin, end); }

array rows(const array& a, int begin, int end) { return part(a, 2, begin, end); }

array real_part(const array& x) { return is_complex_dtype(x.dtype()) ? real(x) : x; }

}  // namespace mlx::core
