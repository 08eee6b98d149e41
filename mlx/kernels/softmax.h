// The exponential as softmax and logsumexp need it: of differences to a maximum, never positive.
#pragma once

#include "mlx/kernels/math_exp.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {

/** exp(x) for x <= 0 or NaN, at most 1 ULP; 0 below -87, where the result is under 2e-38. */
MLX_FN float exp_nonpositive(float x) {
  float e = math::exp_bounded(x < -87.0f ? -87.0f : x);
  return x < -87.0f ? 0.0f : e;
}

MLX_FN double exp_nonpositive(double x) { return math::exp(x); }

}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
