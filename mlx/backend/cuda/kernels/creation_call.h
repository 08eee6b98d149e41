// The arguments of counting. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct Counting {
  int64_t count;
  double start, step;  // for floats
  uint64_t first, by;  // for integers, which wrap
  void* out;
};

}  // namespace mlx::core::kernels
