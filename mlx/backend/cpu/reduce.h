// Reductions on the CPU of what a program computes: its values never reach memory.
#pragma once

#include <vector>

#include "mlx/core/program.h"
#include "mlx/primitives/reduce.h"

namespace mlx::core::cpu {

/** Reduces the last output of the program, of shape `shape`. */
void run_reduce(const Reduce& node, const Program& program, const std::vector<array>& inputs,
                const Shape& shape, array& out);

}  // namespace mlx::core::cpu
