// The arguments of sorting rows that fit a block. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct ShortRows {
  int64_t rows, length;
  int64_t padded;  // the length up to a power of two, at least `items_per_thread`
  const void* in;
  void* out;
};

}  // namespace mlx::core::kernels
