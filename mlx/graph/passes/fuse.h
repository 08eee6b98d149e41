// Fusion: which element-wise nodes run together as one program over tiles.
#pragma once

#include "mlx/graph/steps.h"

namespace mlx::core::detail {

/** Each node a step of its own, in the order of the walk. */
StepGraph separate_steps(const Walk& walk);

/**
 * Joins element-wise nodes of one shape on one stream between which nothing else has to run, and
 * orders the steps depth first. Intermediates that nobody else holds then never reach memory.
 */
StepGraph fuse(const Walk& walk, StepGraph graph);

}  // namespace mlx::core::detail
