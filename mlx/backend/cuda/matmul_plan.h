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
  bool settled = false;  // no work under way writes it
};

/** The operand whose values are summed over k as well. */
enum class Summed { none, a, b };

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
  Summed summed = Summed::none;
  void* sums = nullptr;      // m or n results
  bool bias_settled = true;  // no work under way writes the bias
};

/** Returns false if the results are still to be rectified, or the sums to be made: not every
 *  product does that. Without a batch if there are sums. */
bool run_product(const Product& product, const Stream& s);

/** Whether a product of floats whose columns are summed does all that it is to. */
bool is_complete(const Product& product, const Stream& s);

/** The version of the library, on which what is fast depends. */
int64_t library_version();

}  // namespace mlx::core::cuda
