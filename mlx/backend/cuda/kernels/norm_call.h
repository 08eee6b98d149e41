// The arguments of the kernels of norms. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct NormCall {
  int64_t rows, length;
  double eps;
  const void *x, *residual, *weight, *bias, *cotangent;
  // residual: what is added, forward to x and backward to its gradient; sum: the former, as stored
  void *out, *sum;
  void *weight_out, *bias_out;
  void* parts;                 // of each strip: sums of the weight's gradient, then the bias's
  int64_t strips, strip_rows;  // rows of a block of the backward kernel
};

}  // namespace mlx::core::kernels
