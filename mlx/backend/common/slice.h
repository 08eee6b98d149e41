// Where a slice begins whose start is an array.
#pragma once

#include <vector>

#include "mlx/array.h"

namespace mlx::core {

/**
 * Elements from the first one of `a` to a slice of shape `size` that begins at `start` along `axes`
 * and at 0 along the others. Throws std::out_of_range, in the name of `op`, if it leaves the array.
 */
int64_t start_of_slice(const char* op, const array& a, const array& start,
                       const std::vector<int>& axes, const Shape& size);

}  // namespace mlx::core
