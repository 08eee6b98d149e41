// Matrix products by kernels of our own, for what cuBLASLt does not do.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/backend/cuda/matmul_plan.h"
#include "mlx/backend/cuda/runtime/reports.h"

namespace mlx::core::cuda {

/** int64 numbers of the matrices that products take from a batch of `count`, or nothing. */
struct Picks {
  const void* numbers = nullptr;
  int64_t count = 0;
};

/** What a product takes of its operands when it runs. */
struct Selection {
  Picks a, b;
  const void* segments = nullptr;  // int64 (batch, 2): parts of the depth
  kernels::Fault* fault = nullptr;
};

/** The product without bias and rectification, of any dtype. */
void multiply_in_tiles(const Product& product, const Selection& selection, const Stream& s);

KernelCall product_call(Dtype dtype, bool few_rows);

}  // namespace mlx::core::cuda
