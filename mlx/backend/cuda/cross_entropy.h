// The kernels of cross-entropy on the GPU.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/dtype.h"

namespace mlx::core::cuda {

// A row for 32 or 256 lanes, read `pack` neighbours at a time.
KernelCall cross_entropy_call(Dtype dtype, int lanes, int pack);
KernelCall cross_entropy_gradient_call(Dtype dtype, int lanes, int pack);

}  // namespace mlx::core::cuda
