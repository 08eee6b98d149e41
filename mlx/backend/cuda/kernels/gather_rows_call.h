// The arguments of gathering whole rows. Shared by host and device.
#pragma once

#include "mlx/backend/cuda/kernels/index_call.h"

namespace mlx::core::kernels {

/** Row r of the result is what the index at r * step points at, in words that lie together. */
struct GatherRows {
  int64_t rows, words, step;
  IndexSource source;
  const void* in;
  void* out;
  Fault* fault;
};

}  // namespace mlx::core::kernels
