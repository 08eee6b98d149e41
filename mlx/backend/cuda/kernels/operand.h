// What a kernel reads that the host may have. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

/** Memory, or with no address one value that came along. */
struct Operand {
  const void* data;
  uint64_t value;
};

}  // namespace mlx::core::kernels
