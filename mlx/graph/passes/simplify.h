// Simplification: nodes that compute the same from the same inputs become one.
#pragma once

#include <vector>

#include "mlx/array.h"
#include "mlx/graph/tape.h"

namespace mlx::core::detail {

/**
 * Merges equivalent nodes of a tape. `outputs` and the inputs of later nodes are redirected to the
 * first of each kind, and nodes that nothing needs any more leave the tape.
 */
void simplify(Tape& tape, std::vector<array>& outputs);

}  // namespace mlx::core::detail
