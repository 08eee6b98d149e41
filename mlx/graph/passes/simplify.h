// Simplification: nodes that compute the same from the same inputs become one, and those that only
// told an inner trace's argument from the original go.
#pragma once

#include <vector>

#include "mlx/array.h"
#include "mlx/graph/tape.h"

namespace mlx::core::detail {

/**
 * Merges equivalent nodes of a tape and passes identities by. `outputs` and the inputs of later
 * nodes are redirected to the first of each kind, and nodes that nothing needs any more leave the
 * tape.
 */
void simplify(Tape& tape, std::vector<array>& outputs);

}  // namespace mlx::core::detail
