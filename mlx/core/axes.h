// Axis arguments of ops: checked, counted from the front, sorted.
#pragma once

#include <vector>

#include "mlx/array.h"

namespace mlx::core::detail {

/** The axis in [0, ndim) of `a`; throws AxisError naming the op and the shape. */
int checked_axis(const char* op, const array& a, int axis);

/** All axes in order, without repeats; throws AxisError or std::invalid_argument. */
std::vector<int> checked_axes(const char* op, const array& a, const std::vector<int>& axes);

/** 0, 1, ... for every axis of `a`. */
std::vector<int> all_axes(const array& a);

/** The order of axes that puts `last` (sorted) behind the others, and the way back. */
struct AxisOrder {
  std::vector<int> forward, backward;

  AxisOrder(int ndim, const std::vector<int>& last);
};

}  // namespace mlx::core::detail
