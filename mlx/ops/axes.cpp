// Checks of axis arguments.
#include "mlx/ops/axes.h"

#include <algorithm>
#include <numeric>

#include "mlx/core/errors.h"

namespace mlx::core::detail {

int checked_axis(const char* op, const array& a, int axis) {
  int ndim = static_cast<int>(a.ndim());
  int index = axis < 0 ? axis + ndim : axis;
  if (index < 0 || index >= ndim) {
    throw AxisError(error_message(op, "axis ", axis, " is out of bounds for an array of shape ",
                                  a.shape(), "."));
  }
  return index;
}

std::vector<int> checked_axes(const char* op, const array& a, const std::vector<int>& axes) {
  std::vector<int> sorted;
  for (int axis : axes) {
    sorted.push_back(checked_axis(op, a, axis));
  }
  std::sort(sorted.begin(), sorted.end());
  auto repeated = std::adjacent_find(sorted.begin(), sorted.end());
  check(repeated == sorted.end(), op, "axis ", repeated == sorted.end() ? 0 : *repeated,
        " is given twice.");
  return sorted;
}

std::vector<int> all_axes(const array& a) {
  std::vector<int> axes(a.ndim());
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

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
