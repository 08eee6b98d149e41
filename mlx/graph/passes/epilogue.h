// Epilogues: element-wise steps that run as the node whose result they alone read stores it.
#pragma once

#include "mlx/graph/steps.h"

namespace mlx::core::detail {

/** Puts programs behind the nodes that they read, where the backend runs both as one. */
StepGraph absorb_epilogues(const Walk& walk, StepGraph graph);

}  // namespace mlx::core::detail
