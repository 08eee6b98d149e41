// Steps of one sort that need nothing of each other become one.
#pragma once

#include "mlx/graph/steps.h"

namespace mlx::core::detail {

/** Joins what lies close together and makes little that is new. A step that waits for another one
 *  takes along what needs its result, so that each result is still used soon. */
StepGraph join_siblings(const Walk& walk, StepGraph graph);

}  // namespace mlx::core::detail
