// bfloat16_t by the header and the name that programs written for MLX know.
#pragma once

#include "mlx/types/half_types.h"

namespace mlx::core {

using _MLX_BFloat16 = bfloat16_t;  // NOLINT(bugprone-reserved-identifier)

}  // namespace mlx::core
