// Convolutions of floats without a matrix of patches: kernels read patches in a staged block of the
// image. What a tile of the product is to a matrix, neighbouring pixels of a row are here.
#pragma once

#include <vector>

#include "mlx/backend/cpu/conv/direct_kernels.h"
#include "mlx/backend/cpu/conv/patches.h"

namespace mlx::core::cpu {

// Whether these functions are the fastest for a dtype and so many channels of a group.
bool is_direct(Dtype dtype, int64_t channels);

// One phase of a convolution of all groups.
struct DirectConv {
  Dtype dtype;
  Image image;  // all groups' channels
  const Phase& phase;
  int groups;
  TapWeights weights;    // of the first group, the taps those of the phase
  int64_t group_stride;  // between the weights of groups, in elements
  int64_t out_channels;  // of a group
  Triple out_extent;
  char* out;               // row-contiguous
  const RegionWork* work;  // may be null; on the finished output of the only phase
};

// Each output is a sum over taps and channels in this order, whatever the number of threads.
void direct_conv(const DirectConv& conv);

// One phase of a weight's derivative: `out` (o, kernel..., c), row-contiguous, is written where the
// phase has taps. Positions are summed in parts that follow from the shapes.
void direct_weight_gradient(Dtype dtype, const Image& image, const Image& cotangent,
                            const ConvGeometry& geometry, const Phase& phase, int groups,
                            char* out);

// Image of one group.
Image group_image(Image image, int64_t group, int groups);

// The tables that belong together: direct kernels, and the packers and writer of their types.
struct DirectTools {
  const DirectKernels& kernels;
  const GemmKernels& gemm;
};
DirectTools direct_tools(Dtype dtype);

// Entries [begin, begin + count) of the depth, as one tile or panel takes them.
struct Stretch {
  int64_t begin, count;
};

// Equal stretches of at most `most` entries.
std::vector<Stretch> stretches_of(int64_t n, int64_t most);

}  // namespace mlx::core::cpu
