// Attention of float32 and the half types, computed in float32.
#pragma once

#include "mlx/primitives/attention.h"

namespace mlx::core::cpu {

/** Blocks of queries against blocks of keys, with softmax carried along. Outputs have
 * row-contiguous data. */
void attend_blocks(const AttentionSpec& spec, const AttentionInputs& in,
                   std::vector<array>& outputs);

/** The same for the few rows of `is_few`: keys and values are read once, in place. */
void attend_few(const AttentionSpec& spec, const AttentionInputs& in, std::vector<array>& outputs);
bool is_few(const AttentionInputs& in);

/** Weights are made again from the row statistics. Memory is linear in the lengths. */
void attend_blocks_backward(const AttentionSpec& spec, const AttentionInputs& in,
                            bool mask_gradient, std::vector<array>& outputs);

}  // namespace mlx::core::cpu
