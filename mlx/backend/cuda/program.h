// Running element-wise programs on the GPU.
#pragma once

#include <vector>

#include "mlx/array.h"
#include "mlx/core/program.h"
#include "mlx/primitives/joined.h"

namespace mlx::core::cuda {

/**
 * Computes `outputs`, which have one shape to which the inputs broadcast. Outputs take over inputs
 * that nobody else holds. Long programs run in parts. `generated` marks inputs that are keys of
 * random words (see Fused), which programs that fit one kernel may have.
 */
void run_program(const Program& program, const std::vector<array>& inputs,
                 std::vector<array>& outputs, const Stream& s,
                 const std::vector<bool>& generated = {});

/** Runs programs that are one, each with arrays of its own, in few launches (see most_joined). */
void run_joined_programs(const std::vector<JoinedPart>& parts, const Stream& s);

/** Has the kernel compiled that such runs share; `part` is one of them. */
void foresee_joined_programs(const JoinedPart& part, const Stream& s);

/** How many runs of this program are worth joining. */
size_t most_joined(const Program& program);

}  // namespace mlx::core::cuda
