// What reads under a mask are made of, for whoever waits for the number of true elements in a way
// of its own. A mask is an array of bool; waiting for that number is the one time the host looks.
#pragma once

#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::detail {

/** Throws std::invalid_argument naming the op unless the mask is one of the leading axes of `a`. */
void check_mask(const char* op, const array& a, const array& mask);

/** The number of true elements, int64. */
array count_true(const array& mask, StreamOrDevice s = {});

/** The rows of `a` under the `count` true elements of a mask of its leading axes, in row-major
 *  order: (count, further axes of a...). */
array select_true(const array& a, const array& mask, int64_t count, StreamOrDevice s = {});

/** The positions of the `count` true elements in row-major order, int32, for each axis. */
std::vector<array> true_positions(const array& mask, int64_t count, StreamOrDevice s = {});

/** `a` with the rows under true elements replaced by those of `values` in their order, of which
 *  there are as many or more. */
array scatter_true(const array& a, const array& mask, const array& values, StreamOrDevice s = {});

}  // namespace mlx::core::detail
