// What a norm reads and writes, the same for every backend.
#pragma once

#include "mlx/primitives/norm.h"

namespace mlx::core {

/** Row-contiguous arrays of one floating dtype. `out` and `sum` have memory, and may share that of
 *  x and of the residual. */
struct NormOperands {
  const array& x;
  const array* residual;  // of the shape of x, or null
  const array* weight;    // as the spec says
  const array* bias;
  array& out;
  array* sum;  // with a residual: receives x + residual, rounded to the dtype, which is normalised
};

}  // namespace mlx::core
