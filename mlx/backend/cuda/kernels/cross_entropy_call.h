// The arguments of the kernels of cross-entropy. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

/** How targets lie in memory. */
enum TargetType : int64_t { target_int32, target_uint32, target_int64 };

struct CrossEntropyCall {
  int64_t rows, classes;
  const void *logits, *targets;
  int64_t target_type;
  void *losses, *statistics;  // maximum and logarithm of each row's sum; read by the gradient
  const void* cotangent;
  void* gradient;
};

}  // namespace mlx::core::kernels
