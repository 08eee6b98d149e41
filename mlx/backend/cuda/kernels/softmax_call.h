// The arguments of softmax and its Jacobian. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct SoftmaxRows {
  int64_t outer, length, inner;
  const void* in;
  void* out;
  const void* direction;  // of the Jacobian
};

}  // namespace mlx::core::kernels
