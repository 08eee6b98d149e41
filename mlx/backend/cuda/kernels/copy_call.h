// The arguments of copies, before the lists of dimensions that follow them. Shared by host and
// device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct StridedCopyCall {
  int64_t count;
  const void* in;
  void* out;
};

// Threads of a tile: so many neighbours, and rows of them.
constexpr int tile_lanes = 32, tile_threads = 8;

/** Matrices of `rows` x `columns`, one for each position of the shape: in has its rows side by side
 *  (row_stride 1 apart), out its columns. */
struct TiledCopyCall {
  int64_t rows, columns;
  int64_t column_stride;  // of in
  int64_t row_stride;     // of out
  int64_t tiles_down, tiles_across;
  const void* in;
  void* out;
};

}  // namespace mlx::core::kernels
