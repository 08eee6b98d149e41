// The arguments of gathering whole rows. Shared by host and device.
#pragma once

#include "mlx/backend/cuda/kernels/fault.h"

namespace mlx::core::kernels {

/** Indices along one axis. `kind` is their type: its size in bytes, negative if signed; 0 for no
 *  indices, which means the first place. */
struct IndexSource {
  const void* data;
  int64_t kind, axis, extent, slice, stride;
};

/** Row r of the result is what the index at r * step points at, in words that lie together. */
struct GatherRows {
  int64_t rows, words, step;
  IndexSource source;
  const void* in;
  void* out;
  Fault* fault;
};

}  // namespace mlx::core::kernels
