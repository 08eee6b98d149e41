// The kernel of arange on the GPU.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/dtype.h"

namespace mlx::core::cuda {

KernelCall counting_call(Dtype dtype);

}  // namespace mlx::core::cuda
