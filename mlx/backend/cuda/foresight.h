// Which kernels a primitive will take, told before it runs so that they are compiled meanwhile: by
// functions that files of families enter in the table beside those that run (see registry.h).
#pragma once

#include <vector>

#include "mlx/primitives.h"

namespace mlx::core::cuda {

/** Calls the function of the primitive's type, if there is one. It sees inputs that are still to be
 *  made with a layout, but without data, and outputs with neither. Only ever saves time. */
void foresee(const Primitive& primitive, const std::vector<array>& inputs,
             const std::vector<array>& outputs) noexcept;

}  // namespace mlx::core::cuda
