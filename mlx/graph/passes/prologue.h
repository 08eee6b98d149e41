// Prologues: element-wise steps that run inside the step which reads their result.
#pragma once

#include "mlx/graph/steps.h"

namespace mlx::core::detail {

/** Puts programs in front of the nodes that read them first, where the backend runs both as one. */
StepGraph absorb_prologues(const Walk& walk, StepGraph graph);

}  // namespace mlx::core::detail
