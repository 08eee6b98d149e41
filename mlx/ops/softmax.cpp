// Softmax: checks, dtype rules, and axes brought next to each other.
#include "mlx/primitives/softmax.h"

#include "mlx/core/axes.h"
#include "mlx/core/errors.h"
#include "mlx/core/object_pool.h"
#include "mlx/ops.h"

namespace mlx::core {

array softmax(const array& a, const std::vector<int>& axes, bool /* precise */, StreamOrDevice s) {
  auto sorted = detail::checked_axes("softmax", a, axes);
  array x = issubdtype(a.dtype(), inexact) ? a : astype(a, float32, s);
  if (x.size() == 0) {
    return x;
  }
  if (sorted.empty()) {
    return ones_like(x, s);
  }
  if (is_complex_dtype(x.dtype())) {
    array e = exp(subtract(x, max(real(x, s), sorted, true, s), s), s);
    return divide(e, sum(e, sorted, true, s), s);
  }
  int count = static_cast<int>(sorted.size());
  if (sorted.back() - sorted.front() + 1 == count) {
    auto node = make_pooled<Softmax>(to_stream(s), sorted.front(), sorted.back());
    return array(x.shape(), x.dtype(), node, {x});
  }
  int ndim = static_cast<int>(x.ndim());
  detail::AxisOrder order(ndim, sorted);
  array moved = transpose(x, order.forward, s);
  auto node = make_pooled<Softmax>(to_stream(s), ndim - count, ndim - 1);
  return transpose(array(moved.shape(), moved.dtype(), node, {moved}), order.backward, s);
}

array softmax(const array& a, bool precise, StreamOrDevice s) {
  return softmax(a, detail::all_axes(a), precise, s);
}

array softmax(const array& a, int axis, bool precise, StreamOrDevice s) {
  return softmax(a, std::vector<int>{axis}, precise, s);
}

}  // namespace mlx::core
