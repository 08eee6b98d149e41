// The kernels of binary search and distinct values on the GPU.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/dtype.h"

namespace mlx::core::cuda {

KernelCall search_call(Dtype dtype);
KernelCall mark_first_call(Dtype dtype);
KernelCall number_elements_call();
KernelCall count_elements_call();

}  // namespace mlx::core::cuda
