// Runs fused programs on the CPU: an interpreter over tiles that stay in the first-level cache, one
// kernel call per instruction and tile, split over threads.
#pragma once

#include <vector>

#include "mlx/array.h"
#include "mlx/core/program.h"

namespace mlx::core::cpu {

/**
 * Computes the program's outputs. Inputs are evaluated arrays of the program's dtypes whose shapes
 * broadcast to the shape that all outputs have; any strides. Allocates the outputs, or lets them
 * take over the buffer of an input that is_donatable(). The outputs are row contiguous, or share
 * the layout of the inputs where those agree on another dense one.
 */
void run_program(const Program& program, const std::vector<array>& inputs,
                 std::vector<array>& outputs);

/** One op as a program: dtypes from the arrays. */
void run_elementwise(ElementwiseOp op, const std::vector<array>& inputs,
                     std::vector<array>& outputs);

}  // namespace mlx::core::cpu
