// Steps that planning may join.
#pragma once

#include "mlx/backend/backend.h"

namespace mlx::core::cuda {

/** As StepRules::joins. */
Joining joining_of(const Primitive& primitive);

}  // namespace mlx::core::cuda
