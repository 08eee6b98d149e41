// The arguments of products in tiles. Shared by host and device.
#pragma once

#include "mlx/backend/cuda/kernels/fault.h"

namespace mlx::core::kernels {

struct ProductOperand {
  const void* data;
  int64_t row, column, batch;
  const int64_t* picks;
  int64_t count;
};

struct Products {
  int64_t m, n, k, batch;
  double alpha, beta;
  ProductOperand a, b;
  void* out;  // row contiguous matrices
  int64_t out_batch;
  const int64_t* segments;
  Fault* fault;
};

}  // namespace mlx::core::kernels
