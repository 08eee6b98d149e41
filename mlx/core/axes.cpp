// Checks of axis arguments.
#include "mlx/core/axes.h"

#include <algorithm>

#include "mlx/core/shape_checks.h"

namespace mlx::core::detail {

int checked_axis(const char* op, const array& a, int axis) {
  return normalize_axis(op, axis, a.ndim());
}

std::vector<int> checked_axes(const char* op, const array& a, const std::vector<int>& axes) {
  return sorted_axes(op, axes, a.ndim());
}

std::vector<int> all_axes(const array& a) { return core::all_axes(a.ndim()); }

AxisOrder::AxisOrder(int ndim, const std::vector<int>& last) : backward(ndim) {
  for (int i = 0; i < ndim; i++) {
    if (!std::binary_search(last.begin(), last.end(), i)) forward.push_back(i);
  }
  forward.insert(forward.end(), last.begin(), last.end());
  for (int i = 0; i < ndim; i++) {
    backward[forward[i]] = i;
  }
}

}  // namespace mlx::core::detail
