// Convolutions of half types, and of float32 as TF32, by cuDNN, where it is installed: found at the
// first use, so that nothing depends on it.
#pragma once

#include <vector>

#include "mlx/array.h"
#include "mlx/backend/cuda/library_tensor.h"
#include "mlx/stream.h"

namespace mlx::core::cuda {

/** y = x convolved with w, or which x or w that takes y back to: one of the three is the result.
 *  Axes are n (or o), c and then spatial ones, whatever order they lie in. */
struct LibraryConv {
  enum Result { y_result, x_result, w_result };

  Result result;
  Dtype dtype;
  LibraryTensor x, w, y;
  std::vector<int64_t> stride, padding, dilation;  // padding is the same at both ends
};

/** Queues it; false where cuDNN is not there or has no way to do it. */
bool run_by_library(const LibraryConv& conv, const Stream& s);

}  // namespace mlx::core::cuda
