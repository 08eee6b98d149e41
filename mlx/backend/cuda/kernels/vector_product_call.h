// The arguments of products of few rows. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

/** out (m, n) = alpha x (m, k) w (n, k)^T + bias (n). */
struct VectorProductCall {
  const void *x, *w, *bias;  // bias may be null
  void* out;
  int64_t n, k, x_stride, w_stride;
  float alpha;
  bool rectified;  // negative results become 0
};

}  // namespace mlx::core::kernels
