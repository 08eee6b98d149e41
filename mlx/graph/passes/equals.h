// Programs that are one, each with arrays of its own, as an optimizer's for all its parameters.
#pragma once

#include "mlx/graph/steps.h"

namespace mlx::core::detail {

/** Joins those whose results nobody in the graph reads: they can all run where the last one does.
 */
StepGraph join_equals(const Walk& walk, StepGraph graph);

}  // namespace mlx::core::detail
