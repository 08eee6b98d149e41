// The kernels of softmax on the GPU.
#pragma once

#include "mlx/backend/cuda/held_row.h"
#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/dtype.h"

namespace mlx::core::cuda {

// Rows of neighbours, held in registers or one for 32 or 256 lanes, and its derivative; columns,
// one for each thread.
KernelCall held_softmax_call(Dtype dtype, RowVariant variant);
KernelCall row_softmax_call(Dtype dtype, int lanes);
KernelCall softmax_jacobian_call(Dtype dtype, int lanes);
KernelCall column_softmax_call(Dtype dtype);

}  // namespace mlx::core::cuda
