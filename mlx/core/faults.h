// Failures on demand, for tests of what happens when memory, threads, files or a GPU fail. Builds
// with MLX_FAULTS have them; in all others a fault point is the constant false.
#pragma once

#include <cstdint>

namespace mlx::core::faults {

enum class Point : uint8_t {
#define MLX_FAULT(point, error) point,
#include "mlx/core/faults.def"
};

#ifdef MLX_FAULTS
/** Whether the call that is about to be made is to fail; errno then says why. */
bool strikes(Point point);
#else
constexpr bool strikes(Point /* point */) { return false; }
#endif

}  // namespace mlx::core::faults
