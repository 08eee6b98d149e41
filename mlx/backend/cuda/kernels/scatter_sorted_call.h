// The arguments of combining sorted updates, before the lists of dimensions that follow them.
// Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct SortedUpdatesCall {
  int64_t items, chunk, slice_elements, unit;
  const void* keys;
  const uint32_t* order;  // in the first round, the positions of updates
  const void* values;     // updates, or sums that the round before left
  void* out;
  void* left_keys;
  void* left_sums;
};

}  // namespace mlx::core::kernels
