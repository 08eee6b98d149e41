// Convolutions with one channel in and out per group: no product of matrices, but a weighted sum of
// image rows with the channels side by side in vectors.
#pragma once

#include "mlx/backend/cpu/conv/geometry.h"
#include "mlx/backend/cpu/gemm/gemm.h"

namespace mlx::core::cpu {

// Computes the convolution of `image` (all groups' channels together). `weight` has one element per
// channel and kernel position, strides in elements; `out` is row-contiguous. `work`, which may
// be null, is on the output of the only phase.
void depthwise_conv(const Image& image, const ConvGeometry& geometry, Dtype dtype,
                    const char* weight, int64_t channel_stride,
                    const std::vector<int64_t>& position_offsets, const RegionWork* work,
                    char* out);

// The weight's derivative (channels, kernel...), row-contiguous; `cotangent` has the output's
// shape.
void depthwise_weight_gradient(const Image& image, const Image& cotangent,
                               const ConvGeometry& geometry, Dtype dtype, char* out);

}  // namespace mlx::core::cpu
