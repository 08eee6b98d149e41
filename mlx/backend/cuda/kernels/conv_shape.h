// How a convolution walks, as kernels see it: output pixels of one phase, which all read the input
// through the same taps. Included on both sides, since it is also the kernels' argument.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

/** Division of a number under 2^31 by a fixed one, as a product. */
struct Divisor {
  uint32_t value, factor, shift;

#ifdef __CUDACC__
  MLX_FN uint32_t divide(uint32_t x) const { return (__umulhi(x, factor) + x) >> shift; }
#endif
};

/** Along one axis, output first + q * step reads the input at q * ratio + at + t * at_step for
 *  each tap t; what lies outside the extent reads as zero. */
struct ConvAxis {
  int64_t in_stride;
  int32_t tap_in, tap_weight;  // elements between taps in the input and in the weight
  int32_t pixels, first, step, ratio, at, at_step, taps, extent;
  Divisor pixels_divisor, taps_divisor;
};

/** One phase. Memory in elements; the input's and the cotangent's channels are neighbours. */
struct ConvPhase {
  ConvAxis axes[3];
  const void* in;
  void* weight;    // the result of the weight gradient
  void* out;       // the cotangent of the weight gradient
  int64_t pixels;  // of all images
  int64_t in_batch, weight_row, out_batch, out_strides[3];
  int32_t groups, channels, out_channels;  // channels of one group
  int32_t weight_channel;                  // between channels of the weight
  Divisor channels_divisor;
  float* packed;  // the weight as warpgroups multiply it, in tiles
  // Of the weight gradient: partial sums of `split_pixels` pixels each, if there are several.
  int32_t splits;
  int64_t split_pixels;
  void* partial;

#ifdef __CUDACC__
  /** Taps and channels that one result adds up. */
  MLX_FN int depth() const { return axes[0].taps * axes[1].taps * axes[2].taps * channels; }
#endif
};

/** Phases that one launch works on: the only one, or up to as many as its arguments hold. */
template <int most>
struct ConvPhases {
  ConvPhase phases[most];
  int32_t count;
};

constexpr int most_phases = 8;

}  // namespace mlx::core::kernels
