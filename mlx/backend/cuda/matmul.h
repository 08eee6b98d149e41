// Matrix products on the GPU: what may run behind one.
#pragma once

#include <vector>

#include "mlx/core/program.h"
#include "mlx/primitives.h"
#include "mlx/primitives/fused.h"

namespace mlx::core::cuda {

/** Whether root and program are a product of floats and its maximum with zero, which the library
 * that multiplies does as it stores. */
bool rectifies_product(const Primitive& root, const Program& program,
                       const std::vector<bool>& zeros);

/** Runs such a step. */
void run_rectified_product(Fused& step, const std::vector<array>& inputs,
                           std::vector<array>& outputs);

}  // namespace mlx::core::cuda
