// The kernels of partition on the GPU.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/dtype.h"

namespace mlx::core::cuda {

KernelCall key_count_call(Dtype dtype);
KernelCall deal_call(Dtype dtype, bool positions);

}  // namespace mlx::core::cuda
