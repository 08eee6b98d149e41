// The arguments of sorting long rows. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct LongRows {
  int64_t rows, length;
  int64_t tiles;                   // of a row
  int64_t pass;                    // the byte of the key
  int64_t from_values, to_values;  // whether this pass reads `in`, and whether it writes `out`
  const void* in;
  void* out;
  const void* keys;
  const uint32_t* positions;
  void* next_keys;
  uint32_t* next_positions;
  uint32_t* counts;  // of each byte's values: [row][byte][256]
  uint32_t* ticket;  // how many tiles of this pass have started
  void* progress;    // of this pass, [row][tile][256]: what tiles have found out so far
};

}  // namespace mlx::core::kernels
