// Convolutions with what planning put behind them.
#pragma once

#include <vector>

#include "mlx/core/program.h"
#include "mlx/primitives/conv.h"

namespace mlx::core::cpu {

/** Runs a convolution and the program that alone reads its result. Inputs are the convolution's,
 *  then the program's without the first. */
void run_convolution(const Convolution& convolution, const Program& epilogue,
                     const std::vector<array>& inputs, array& out);

}  // namespace mlx::core::cpu
