// Norms of rows on the CPU, for nodes that run one behind a sum.
#pragma once

#include "mlx/backend/common/norm_operands.h"

namespace mlx::core::cpu {

/** out = norm(x) or norm(x + residual), each row once through the cache. */
void run_norm(const NormSpec& spec, const NormOperands& operands);

}  // namespace mlx::core::cpu
