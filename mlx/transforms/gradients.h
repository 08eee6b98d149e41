// Reverse and forward accumulation over a tape, shared by vjp, grad and jvp.
#pragma once

#include <optional>
#include <vector>

#include "mlx/array.h"

namespace mlx::core::detail {

/**
 * Gradients for `arguments` given those of `outputs`; `cotangents[i]` belongs to `outputs[i]`.
 * Arguments that the outputs do not depend on get zeros.
 */
std::vector<array> pull_back(const std::vector<array>& arguments, const std::vector<array>& outputs,
                             const std::vector<array>& cotangents);

/** The outputs' tangents given those of the arguments. */
std::vector<array> push_forward(const std::vector<array>& arguments,
                                const std::vector<array>& outputs,
                                const std::vector<array>& tangents);

}  // namespace mlx::core::detail
