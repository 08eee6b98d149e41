// The arguments of a selection. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct Pivot {
  uint64_t prefix;
  uint32_t less, equal;
};

struct Selection {
  int64_t rows, length, kth;
  int64_t tiles;  // of a row, for the pass at hand
  int64_t pass;
  const void* in;
  void* out;
  Pivot* pivots;
  uint32_t* counts;    // of this pass, [row][2048]
  uint32_t* finished;  // of this pass, [row]: blocks that have counted
  uint32_t* ticket;    // how many tiles of the last pass have started
  uint64_t* progress;  // of the last pass, [row][tile]
};

}  // namespace mlx::core::kernels
