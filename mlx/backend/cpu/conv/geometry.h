// What a convolution touches, free of arrays: extents, strides, and the split of the output into
// phases so that no work is done for the zeros of a dilated input.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "mlx/primitives/conv.h"

namespace mlx::core::cpu {

using Triple = std::array<int64_t, 3>;

// An image batch (n, three spatial axes, channels), strides in elements, channels side by side.
struct Image {
  const char* data = nullptr;
  int64_t itemsize = 0;
  int64_t batch = 0;
  Triple extent = {};
  int64_t batch_stride = 0;
  Triple stride = {};
  int64_t channels = 0;  // of one group
};

// One position of the kernel as a phase sees it: output pixel q reads the input at q * ratio + at.
struct Tap {
  Triple at;
  int64_t position;  // in the kernel, row-major
};

// Output pixels that all read the input through the same taps: first + q * step for q < count.
struct Phase {
  Triple first, step, count, ratio;
  std::vector<Tap> taps;

  int64_t pixels(int64_t batch) const { return batch * count[0] * count[1] * count[2]; }
};

struct ConvGeometry {
  Triple in, out, kernel;
  Triple stride, padding, kernel_dilation, input_dilation;
  bool flip;

  // Shapes with channels and leading n or o; fewer than three spatial axes are padded in front.
  ConvGeometry(const Shape& input, const Shape& kernel_shape, const Shape& output,
               const ConvParams& params);

  // The phases with at least one output pixel. One phase unless the input is dilated.
  std::vector<Phase> phases() const;

  int64_t kernel_size() const { return kernel[0] * kernel[1] * kernel[2]; }
};

// An array (n, spatial..., channels) whose channels lie side by side.
Image image_of(const array& a);

// Where pixel `index` of a phase lies.
struct PixelPosition {
  int64_t n;
  Triple q;
};
PixelPosition pixel_position(const Phase& phase, int64_t index);

}  // namespace mlx::core::cpu
