// The arguments of products of few rows. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

/** One matrix: out (m, n) = alpha x (m, k) w (n, k)^T + bias (n). */
struct VectorProductPart {
  const void *w, *bias;  // bias may be null
  void* out;
  int64_t n, w_stride;
  int64_t first_group;  // of rows that a warp takes together
};

/** Products of the same rows with up to so many matrices. */
constexpr int most_vector_parts = 4;

struct VectorProductCall {
  const void* x;
  int64_t k, x_stride;
  int32_t parts;
  float alpha;
  int64_t rectified;  // negative results become 0
  int64_t settled;    // no work under way writes a matrix
  int64_t groups;
  VectorProductPart part[most_vector_parts];
};

}  // namespace mlx::core::kernels
