// One batched product, and the choice of its algorithm, which is kept.
#pragma once

#include "mlx/array.h"
#include "mlx/stream.h"

namespace mlx::core::cuda {

/** A matrix in memory: neighbours along rows, or along columns if `transposed`. */
struct MatrixOperand {
  const void* data;
  bool transposed;
  int64_t stride;  // between rows (columns if transposed)
  int64_t batch_stride;
};

/** out (m, n), row contiguous, = alpha a (m, k) b (k, n) + beta c; all strides in elements. */
struct Product {
  Dtype dtype;
  int64_t m, n, k, batch;
  MatrixOperand a, b;
  float alpha, beta;
  const void* bias;  // a row added to every row, or nullptr
  void* out;         // also c, if beta is not 0
  int64_t out_batch_stride;
  bool rectified = false;  // negative results become 0
};

/** Returns false if the results are still to be rectified: not every product can be. */
bool run_product(const Product& product, const Stream& s);

}  // namespace mlx::core::cuda
