// Ops about diagonals and triangles of matrices.
#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/diagonal.h"

namespace mlx::core {

namespace {

// Row number plus k and column number of an n by m matrix, as arrays that broadcast to it.
std::pair<array, array> matrix_positions(int n, int m, int k, StreamOrDevice s) {
  double shift = std::clamp<double>(k, -double(n), double(m));
  array rows = arange(shift, n + shift, 1.0, int64, s);
  return {expand_dims(rows, 1, s), arange(0.0, m, 1.0, int64, s)};
}

array triangle(int n, int m, int k, StreamOrDevice s) {
  auto [row, column] = matrix_positions(std::max(n, 0), std::max(m, 0), k, s);
  return greater_equal(row, column, s);
}

}  // namespace

array eye(int n, int m, int k, Dtype dtype, StreamOrDevice s) {
  check(n >= 0 && m >= 0, "eye", "The numbers of rows and columns must not be negative, got ", n,
        " and ", m, ".");
  auto [row, column] = matrix_positions(n, m, k, s);
  return astype(equal(row, column, s), dtype, s);
}

array eye(int n, Dtype dtype, StreamOrDevice s) { return eye(n, n, 0, dtype, s); }
array eye(int n, int m, StreamOrDevice s) { return eye(n, m, 0, float32, s); }
array eye(int n, int m, int k, StreamOrDevice s) { return eye(n, m, k, float32, s); }
array eye(int n, StreamOrDevice s) { return eye(n, n, 0, float32, s); }

array identity(int n, Dtype dtype, StreamOrDevice s) { return eye(n, n, 0, dtype, s); }
array identity(int n, StreamOrDevice s) { return identity(n, float32, s); }

array tri(int n, int m, int k, Dtype type, StreamOrDevice s) {
  return astype(triangle(n, m, k, s), type, s);
}

array tri(int n, Dtype type, StreamOrDevice s) { return tri(n, n, 0, type, s); }

array tril(array x, int k, StreamOrDevice s) {
  check(x.ndim() >= 2, "tril", "The array must have at least two dimensions, got shape ", x.shape(),
        ".");
  return where(triangle(x.shape(-2), x.shape(-1), k, s), x, array(0, x.dtype()), s);
}

array triu(array x, int k, StreamOrDevice s) {
  check(x.ndim() >= 2, "triu", "The array must have at least two dimensions, got shape ", x.shape(),
        ".");
  int below = k == INT32_MIN ? k : k - 1;
  return where(triangle(x.shape(-2), x.shape(-1), below, s), array(0, x.dtype()), x, s);
}

array diagonal(const array& a, int offset, int axis1, int axis2, StreamOrDevice s) {
  check(a.ndim() >= 2, "diagonal", "The array must have at least two dimensions, got shape ",
        a.shape(), ".");
  axis1 = normalize_axis("diagonal", axis1, a.ndim());
  axis2 = normalize_axis("diagonal", axis2, a.ndim());
  check(axis1 != axis2, "diagonal", "Both axes are ", axis1, ".");
  auto axes = all_axes(a.ndim());
  axes.erase(axes.begin() + std::max(axis1, axis2));
  axes.erase(axes.begin() + std::min(axis1, axis2));
  axes.push_back(axis1);
  axes.push_back(axis2);
  array last = transpose(a, axes, s);
  return rearranged<Diagonal>(last, Diagonal::without_last(last.shape(), offset), to_stream(s),
                              offset);
}

array diag(const array& a, int k, StreamOrDevice s) {
  check(a.ndim() == 1 || a.ndim() == 2, "diag",
        "The array must have one or two dimensions, got "
        "shape ",
        a.shape(), ".");
  if (a.ndim() == 2) {
    return diagonal(a, k, 0, 1, s);
  }
  int n = checked_extent("diag", std::abs(int64_t{k}) + a.shape(0));
  if (a.size() == 0) {
    return zeros({n, n}, a.dtype(), s);
  }
  array position = arange(a.shape(0), s);
  array row = add(position, array(std::max(-k, 0)), s);
  array column = add(position, array(std::max(k, 0)), s);
  return scatter(zeros({n, n}, a.dtype(), s), {row, column}, expand_dims(a, {1, 2}, s), {0, 1}, s);
}

array trace(const array& a, int offset, int axis1, int axis2, Dtype dtype, StreamOrDevice s) {
  check(a.ndim() >= 2, "trace", "The array must have at least two dimensions, got shape ",
        a.shape(), ".");
  // Sums of small integers are wider than these.
  array total = sum(astype(diagonal(a, offset, axis1, axis2, s), dtype, s), -1, false, s);
  return astype(total, dtype, s);
}

array trace(const array& a, int offset, int axis1, int axis2, StreamOrDevice s) {
  // Small integers are summed as wider ones, like sums are.
  bool small = (issubdtype(a.dtype(), integer) && a.itemsize() < 4) || a.dtype() == bool_;
  Dtype wide = issubdtype(a.dtype(), unsignedinteger) ? uint32 : int32;
  return trace(a, offset, axis1, axis2, small ? wide : a.dtype(), s);
}

array trace(const array& a, StreamOrDevice s) { return trace(a, 0, 0, 1, s); }

array kron(const array& a, const array& b, StreamOrDevice s) {
  // Every axis of the result is a pair (axis of a, axis of b), merged.
  size_t ndim = std::max(a.ndim(), b.ndim());
  Shape spread_a, spread_b, result;
  for (size_t i = 0; i < ndim; i++) {
    int n = i + a.ndim() >= ndim ? a.shape(i + a.ndim() - ndim) : 1;
    int m = i + b.ndim() >= ndim ? b.shape(i + b.ndim() - ndim) : 1;
    spread_a.push_back(n);
    spread_a.push_back(1);
    spread_b.push_back(1);
    spread_b.push_back(m);
    result.push_back(checked_extent("kron", int64_t{n} * m));
  }
  array product = multiply(reshape(a, spread_a, s), reshape(b, spread_b, s), s);
  return reshape(product, result, s);
}

}  // namespace mlx::core
