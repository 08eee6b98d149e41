// From the parameters of a convolution to what its kernels need to know.
#pragma once

#include <vector>

#include "mlx/backend/cuda/kernels/conv_shape.h"
#include "mlx/primitives/conv.h"

namespace mlx::core::cuda {

/** Arrays of a convolution; the channels of `in` and `out` are neighbours, other strides are free.
 */
struct ConvArrays {
  const array &in, &weight, &out;
};

/** One phase, still without addresses, and where in the weight its first tap lies. */
struct PlacedPhase {
  kernels::ConvPhase phase;
  int64_t weight_start;
};

/** Phases with at least one output pixel: one unless the input is dilated. Throws past what kernels
 *  can count. */
std::vector<PlacedPhase> conv_phases(const ConvArrays& arrays, const ConvParams& params);

/** Whether the channels of a group can be moved in pieces of 16 bytes. */
bool has_wide_channels(const array& a, const void* address, int groups);

}  // namespace mlx::core::cuda
