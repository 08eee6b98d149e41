// Checks of axes and shapes.
#include "mlx/core/shape_checks.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "mlx/core/errors.h"
#include "mlx/utils.h"

namespace mlx::core {

int normalize_axis(const char* op, int axis, size_t ndim) {
  int n = static_cast<int>(ndim);
  if (axis >= 0 && axis < n) {
    return axis;
  }
  return normalize_axis_index(axis, n, "[" + std::string(op) + "] ");
}

std::vector<int> normalize_axes(const char* op, std::vector<int> axes, size_t ndim) {
  for (auto it = axes.begin(); it != axes.end(); ++it) {
    *it = normalize_axis(op, *it, ndim);
    bool seen = std::find(axes.begin(), it, *it) != it;
    check(!seen, op, "Axis ", *it, " is given more than once.");
  }
  return axes;
}

std::vector<int> sorted_axes(const char* op, std::vector<int> axes, size_t ndim) {
  axes = normalize_axes(op, std::move(axes), ndim);
  std::sort(axes.begin(), axes.end());
  return axes;
}

std::vector<int> all_axes(size_t ndim) {
  std::vector<int> axes(ndim);
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

ShapeElem checked_extent(const char* op, int64_t extent) {
  if (extent < 0 || extent > std::numeric_limits<ShapeElem>::max()) {
    throw ExtentError(error_message(op, "An axis of ", extent,
                                    " elements is not possible: the limit is 2^31 - 1."));
  }
  return static_cast<ShapeElem>(extent);
}

void check_shape(const char* op, const Shape& shape, Dtype dtype) {
  int64_t bytes = dtype.size();
  bool overflow = false;
  for (auto extent : shape) {
    check(extent >= 0, op, "Shape ", shape, " has a negative extent.");
    overflow |= __builtin_mul_overflow(bytes, static_cast<int64_t>(extent), &bytes);
  }
  bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  check(empty || !overflow, op, "Shape ", shape, " of ", dtype, " is past 2^63 bytes.");
}

}  // namespace mlx::core
