// Where a mask is true, for what has to know the number of elements before it can be built.
#pragma once

#include <vector>

#include "mlx/array.h"

namespace mlx::core {

/**
 * The positions of the true elements in row-major order: one int32 array per axis. The mask is
 * evaluated, row contiguous, and has at least one axis. Throws std::invalid_argument `[op] …` where
 * there are more of them than an extent can tell.
 */
std::vector<array> true_positions(const char* op, const array& mask);

}  // namespace mlx::core
