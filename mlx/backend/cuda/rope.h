// The kernel of rotary position encoding on the GPU.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/dtype.h"

namespace mlx::core::cuda {

/** Pairs that one thread turns where rows can be read in pieces. */
int rope_pack(Dtype dtype);

KernelCall rope_call(Dtype dtype, bool neighbours, int pack);

}  // namespace mlx::core::cuda
