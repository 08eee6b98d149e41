// The arguments of writing a slice whose place the device knows, before the lists that follow them.
// Shared by host and device.
#pragma once

#include "mlx/backend/cuda/kernels/fault.h"

namespace mlx::core::kernels {

struct PlacedCopyCall {
  int64_t count;
  const void* in;
  void* out;
  const void* starts;
  int64_t kind, step;  // the type of the starts as IndexSource has it, and from one to the next
  Fault* fault;
};

}  // namespace mlx::core::kernels
