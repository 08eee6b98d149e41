// Products of few rows by kernels of our own, where those read the matrix as fast as memory allows.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/backend/cuda/matmul_plan.h"

namespace mlx::core::cuda {

/** Most rows on the left. */
inline constexpr int most_vector_rows = 4;

/** Runs the product if it is of that sort; false if it is not. */
bool run_vector_product(const Product& product, const Stream& s);

/** The kernel for `m` rows on the left, of whose matrix a warp takes `rows`. */
KernelCall vector_product_call(Dtype dtype, int m, int rows);

}  // namespace mlx::core::cuda
