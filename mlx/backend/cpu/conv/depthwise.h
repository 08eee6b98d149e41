// Convolutions with one channel in and out per group, or a few: no product of matrices, but a
// weighted sum of image rows with the channels side by side in vectors.
#pragma once

#include "mlx/backend/cpu/conv/geometry.h"
#include "mlx/backend/cpu/gemm/gemm.h"

namespace mlx::core::cpu {

// Whether these functions take the groups of a convolution of so many channels.
bool is_depthwise(Dtype dtype, int groups, int64_t in_channels, int64_t out_channels);

// A weight (o, kernel..., c) in any strides, in elements.
struct DepthwiseWeight {
  const char* data;
  int64_t out_stride, channel_stride;
  int64_t group;                          // c
  const std::vector<int64_t>& positions;  // offsets of the kernel's
};

// Computes the convolution of `image` (all groups' channels together). `out` is row-contiguous.
// `work`, which may be null, is on the output of the only phase.
void depthwise_conv(const Image& image, const ConvGeometry& geometry, Dtype dtype,
                    const DepthwiseWeight& weight, const RegionWork* work, char* out);

// The weight's derivative (o, kernel..., c), row-contiguous; `cotangent` has the output's shape.
void depthwise_weight_gradient(const Image& image, const Image& cotangent,
                               const ConvGeometry& geometry, Dtype dtype, int groups, char* out);

}  // namespace mlx::core::cpu
