// The arguments of kernels that walk indices, before and behind the lists of dimensions. Shared by
// host and device.
#pragma once

#include "mlx/backend/cuda/kernels/fault.h"

namespace mlx::core::kernels {

/** Indices along one axis. `kind` is their type: its size in bytes, negative if signed; 0 for no
 *  indices, which means the first place. */
struct IndexSource {
  const void* data;
  int64_t kind, axis, extent, slice, stride;
};

/** Positions times slices: of a gather's output, or of a scatter's updates. */
struct IndexedCall {
  int64_t positions, slice_elements, unit;
  const void* in;
  void* out;
  void* marks;  // what a kernel notes: winners or keys
  Fault* fault;
};

}  // namespace mlx::core::kernels
