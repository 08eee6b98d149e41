// Generators: random words that the program which alone reads them makes itself, so that they never
// reach memory.
#pragma once

#include "mlx/graph/steps.h"

namespace mlx::core::detail {

/** Lets programs make the words they read, where the backend's programs can. */
StepGraph absorb_generators(const Walk& walk, StepGraph graph);

}  // namespace mlx::core::detail
