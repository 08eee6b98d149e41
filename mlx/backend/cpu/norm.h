// Norms of rows on the CPU, for nodes that run one behind a sum.
#pragma once

#include "mlx/primitives/norm.h"

namespace mlx::core::cpu {

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

/** out = norm(x) or norm(x + residual), each row once through the cache. */
void run_norm(const NormSpec& spec, const NormOperands& operands);

}  // namespace mlx::core::cpu
