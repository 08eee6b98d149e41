// The kernels of softmax on the GPU.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/dtype.h"

namespace mlx::core::cuda {

// Rows of neighbours, one for 32 or 256 lanes, and its derivative; columns, one for each thread.
KernelCall row_softmax_call(Dtype dtype, int lanes);
KernelCall softmax_jacobian_call(Dtype dtype, int lanes);
KernelCall column_softmax_call(Dtype dtype);

}  // namespace mlx::core::cuda
