// Limits of element types, half types included, under MLX's name.
#pragma once

#include <limits>

#include "mlx/types/half_types.h"

namespace mlx::core {

template <typename T>
struct numeric_limits : std::numeric_limits<T> {};

}  // namespace mlx::core
