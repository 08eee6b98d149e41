// Tables of the direct convolution kernels, plain so that every instruction set level can define
// them. They read staged images: padded, widened to the type of the sums, channels side by side.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

// Entries of a patch that lie side by side in the stage: offset from the pixel, in elements.
struct ConvSegment {
  int64_t offset, length;
};

// out[p][j] (+)= sum over the segments' entries k of input[p * pixel_step + k] * weights[k][j], for
// neighbouring pixels p of an output row. Steps in elements; all have the type of the sums.
struct ConvTile {
  const void* input;
  int64_t pixel_step;
  const ConvSegment* segments;
  int64_t segment_count;
  const void* weights;  // a panel, entries in the order of the segments
  void* out;
  int64_t out_step;
  bool accumulate;
};

// sums[r][j] += sum over pixels of input[pixel][r] * cotangent[pixel][j], pixels in rows. The
// cotangent is a panel in the order of the pixels.
struct ConvProducts {
  const void* input;
  int64_t pixel_step, row_step;
  const void* cotangent;
  int64_t pixels, rows;
  void* sums;
  int64_t sums_step;
};

struct DirectKernels {
  int rows;   // most pixels of a tile, or entries of a patch in products
  int lanes;  // tiles have one or two times so many channels of the output
  int sum_size;
  // For v vectors and r rows: [(v - 1) * rows + r - 1].
  void (*const* tiles)(const ConvTile& tile);
  void (*const* products)(const ConvProducts& products);
  void (*widen)(const void* from, int64_t count, void* to);
  // sums[i] += the sums at i of all further parts, which lie `stride` apart, in order.
  void (*fold)(void* sums, int64_t stride, int64_t parts, int64_t count);
};

struct DirectTables {
  DirectKernels f32, f64, f16, bf16;
};

MLX_ISA_TABLE(DirectTables, direct_kernels)

}  // namespace mlx::core::cpu
