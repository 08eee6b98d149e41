// Sums of operands: reductions that run with a product that reads the same array.
#pragma once

#include "mlx/graph/steps.h"

namespace mlx::core::detail {

/** Joins a reduction with a product one of whose operands is a view of what is reduced, as the
 *  gradients of a layer's bias and weight are, where the backend runs both as one. */
StepGraph join_operand_sums(const Walk& walk, StepGraph graph);

}  // namespace mlx::core::detail
