// Values that are cheaper to compute twice than to store: what a program reads of another one and
// could make from arrays that it reads in any case, as backward passes do of forward ones.
#pragma once

#include "mlx/graph/steps.h"

namespace mlx::core::detail {

/** Lets programs make such values again, where the backend's memory is slower than its arithmetic;
 *  those that nobody reads any more are not stored. */
StepGraph recompute_values(const Walk& walk, StepGraph graph);

}  // namespace mlx::core::detail
