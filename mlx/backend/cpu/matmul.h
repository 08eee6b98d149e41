// Products with what planning put behind them.
#pragma once

#include <vector>

#include "mlx/core/program.h"
#include "mlx/primitives.h"

namespace mlx::core::cpu {

/** Whether a primitive is a product that can have programs behind it. */
bool is_product(const Primitive& primitive);

/** Runs a product and the program that alone reads its result. Inputs are the product's, then the
 *  program's without the first. */
void run_product(const Primitive& product, const Program& epilogue,
                 const std::vector<array>& inputs, array& out);

}  // namespace mlx::core::cpu
