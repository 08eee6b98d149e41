// Sums of parts of a depth that threads made side by side.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/gemm/simd.h"

namespace mlx::core::cpu::MLX_ISA::simd {

// Adds to `count` sums those of the other parts, in their order; parts lie `stride` sums apart.
template <typename Lane>
static void fold_parts(void* sums, int64_t stride, int64_t parts, int64_t count) {
  constexpr int lanes = kLanes<Lane>;
  Lane* to = static_cast<Lane*>(sums);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    Vec<Lane> sum = load(to + i);
    for (int64_t part = 1; part < parts; ++part) sum += load(to + part * stride + i);
    store<Lane>(to + i, sum);
  }
  for (; i < count; ++i) {
    for (int64_t part = 1; part < parts; ++part) to[i] += to[part * stride + i];
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
