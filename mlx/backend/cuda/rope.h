// The kernel of rotary position encoding on the GPU.
#pragma once

#include <vector>

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/dtype.h"
#include "mlx/primitives/joined.h"

namespace mlx::core::cuda {

/** Pairs that one thread turns where rows can be read in pieces. */
int rope_pack(Dtype dtype);

/** Runs rotations: together where one kernel does them. */
void run_joined_ropes(const std::vector<JoinedPart>& parts, const Stream& s);

KernelCall rope_call(Dtype dtype, bool neighbours, int pack);

}  // namespace mlx::core::cuda
