// Slice updates on the GPU, as far as others start them.
#pragma once

#include <vector>

#include "mlx/primitives/joined.h"

namespace mlx::core::cuda {

/** Runs updates of slices: two by one kernel where that does both. */
void run_joined_updates(const std::vector<JoinedPart>& parts, const Stream& s);

}  // namespace mlx::core::cuda
