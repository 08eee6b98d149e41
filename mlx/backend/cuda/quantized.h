// Products with quantised matrices on the GPU, as far as others start them.
#pragma once

#include <vector>

#include "mlx/primitives/joined.h"

namespace mlx::core::cuda {

/** Runs products that read the same rows: together if these are few. */
void run_joined_quantized_products(const std::vector<JoinedPart>& parts, const Stream& s);

}  // namespace mlx::core::cuda
