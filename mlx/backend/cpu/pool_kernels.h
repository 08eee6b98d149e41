// The kernels of pooling for neighbouring windows of a row, with channels side by side.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

// Windows of which each reads `taps` pixels, `step` elements further than the one before.
struct PoolRow {
  const float* const* inputs;  // of the first window; null for gradients of means
  int64_t taps;
  int64_t windows, channels, step;
  float scale;  // of sums
};

struct PoolKernels {
  // out = maximum, or sum times scale, of each window.
  void (*max)(const PoolRow& row, float* out);
  void (*mean)(const PoolRow& row, float* out);
  // Adds each window's cotangent to the taps that have a place in `gradients`: in equal parts to
  // those that are its maximum `out`, or times scale to all.
  void (*max_gradient)(const PoolRow& row, const float* out, const float* cotangent,
                       float* const* gradients);
  void (*mean_gradient)(const PoolRow& row, const float* cotangent, float* const* gradients);
};

MLX_ISA_TABLE(PoolKernels, pool_kernels)

}  // namespace mlx::core::cpu
