// Attention in float64: a block of rows at a time by the matrix product engine.
#pragma once

#include "mlx/primitives/attention.h"

namespace mlx::core::cpu {

/** Outputs have row-contiguous data. */
void attend_float64(const AttentionSpec& spec, const AttentionInputs& in,
                    std::vector<array>& outputs);
void attend_float64_backward(const AttentionSpec& spec, const AttentionInputs& in,
                             bool mask_gradient, std::vector<array>& outputs);

}  // namespace mlx::core::cpu
