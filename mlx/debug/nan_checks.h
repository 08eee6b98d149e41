// Finding the op that made the first NaN.
#pragma once

#include <vector>

#include "mlx/primitives.h"

namespace mlx::core::debug {

/** Throws NanError if a step's results have a NaN where its inputs had none: element by element for
 *  element-wise ops, in any place for others. Waits for the device. */
void check_step(const Primitive& primitive, const std::vector<array>& inputs,
                const std::vector<array>& outputs);

}  // namespace mlx::core::debug
