// Products of few rows by kernels of our own, where those read the matrix as fast as memory allows.
#pragma once

#include <span>

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/backend/cuda/matmul_plan.h"

namespace mlx::core::cuda {

/** Most rows on the left. */
inline constexpr int most_vector_rows = 4;

/** Runs products of the same rows by one kernel if they are of that sort; false if they are not. */
bool run_vector_products(std::span<const Product> products, const Stream& s);

/** The kernel for `m` rows on the left, of whose matrix a warp takes `rows`. */
KernelCall vector_product_call(Dtype dtype, int m, int rows);

}  // namespace mlx::core::cuda
