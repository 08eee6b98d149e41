// Codes of few bits and the numbers that they stand for: small floats, powers of two, and the
// scale and bias of an affine group.
#pragma once

#include "mlx/kernels/convert.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {

inline constexpr float largest_fp4 = 6.0f, largest_fp8 = 448.0f;

/** The nearest of the magnitudes 0, 0.5, 1, 1.5, 2, 3, 4 and 6, of two equally near ones the
 *  smaller, with the sign in the fourth bit; zero has none, and NaN is zero. */
MLX_FN uint32_t encode_fp4(float x) {
  float m = fabs(x);
  uint32_t code = 0;
  code += m > 0.25f;
  code += m > 0.75f;
  code += m > 1.25f;
  code += m > 1.75f;
  code += m > 2.5f;
  code += m > 3.5f;
  code += m > 5.0f;
  uint32_t sign = (to_bits(x) >> 28) & 8u;
  return code | (code != 0u ? sign : 0u);
}

MLX_FN float decode_fp4(uint32_t code) {
  uint32_t m = code & 7u;
  float small = static_cast<float>(static_cast<int32_t>(m)) * 0.5f;
  float number = m < 2u ? small : float_of((m << 22) + 0x3f000000u);
  return float_of(to_bits(number) | ((code & 8u) << 28));
}

/** Powers of two as their exponents: the smallest that is not below x, for x >= 0. Zero is taken
 *  for one, which is as good as any; what is not finite is 255. */
MLX_FN uint32_t encode_e8m0(float x) {
  uint32_t bits = to_bits(x), exponent = bits >> 23;
  uint32_t half = exponent == 0u ? 0x400000u : 0u;
  uint32_t code = exponent + ((bits & 0x7fffffu) > half);
  code = code > 255u ? 255u : code;
  return bits == 0u ? 127u : code;
}

MLX_FN float decode_e8m0(uint32_t code) { return float_of(code == 0u ? 0x400000u : code << 23); }

/** scale * code + bias stands for a value, the code between 0 and `steps`. */
struct AffineGroup {
  float scale, bias;
};

/** From the smallest and the largest value, NaN left out. With more than two codes, the value that
 *  is farthest from zero is met exactly, and so is zero if it lies between them. */
MLX_FN AffineGroup affine_group(float low, float high, float steps) {
  float range = (high - low) / steps;
  float scale = range > 1e-7f ? range : 1e-7f;
  scale = is_nan(range) ? range : scale;
  if (steps == 1.0f) return {scale, low};
  bool below = fabs(low) > fabs(high);
  float edge = below ? low : high;
  scale = below ? scale : -scale;
  float at = rint(edge / scale);
  return at == 0.0f ? AffineGroup{scale, 0.0f} : AffineGroup{edge / at, edge};
}

/** NaN is 0. */
MLX_FN float affine_code(float x, AffineGroup group, float steps) {
  float code = rint((x - group.bias) / group.scale);
  code = code > 0.0f ? code : 0.0f;
  return code < steps ? code : steps;
}

}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
