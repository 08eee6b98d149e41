// The kernels of norms on the GPU.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/primitives/norm.h"

namespace mlx::core::cuda {

KernelCall norm_call(NormSpec::Kind kind, Dtype dtype);
KernelCall norm_backward_call(NormSpec::Kind kind, Dtype dtype);
/** The derivatives for weight and bias, from what the backward call keeps of each row. */
KernelCall norm_parameters_call(Dtype dtype);

}  // namespace mlx::core::cuda
