// Bodies for half types where the float body costs more than the memory traffic of its halves.
// Their error is below 2^-17 of the result, so that after rounding it is at most 0.51 ULP of a
// half, as that of the float bodies.
#pragma once

#include "mlx/kernels/elementwise.h"

namespace mlx::core::kernels {

/** 2^x to 2^-22, with subnormal results. */
MLX_FN float quick_exp2(float x) {
  float y;
  asm("ex2.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/** The same in one instruction: 0 for subnormal results. */
MLX_FN float quickest_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/** 1 / x to 2^-23 for normal x and 1/x. */
MLX_FN float quick_reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

inline constexpr float log2_e = 1.44269504f;

template <typename Op>
struct HalfBody {
  static constexpr bool exists = false;
};

template <>
struct HalfBody<op::Exp> {
  static constexpr bool exists = true;
  MLX_FN static float apply(float x) { return quick_exp2(x * log2_e); }
};

template <>
struct HalfBody<op::Sigmoid> {
  static constexpr bool exists = true;
  MLX_FN static float apply(float x) {
    float e = quick_exp2(fabs(x) * -log2_e);
    float r = quick_reciprocal(1.0f + e);
    return x < 0.0f ? e * r : r;
  }
};

/** (1 - e) / (1 + e) with e = exp(-2|x|); below 1/4, where that cancels, an odd polynomial. */
template <>
struct HalfBody<op::Tanh> {
  static constexpr bool exists = true;
  MLX_FN static float apply(float x) {
    float a = fabs(x);
    float e = quick_exp2(a * (-2.0f * log2_e));
    float large = (1.0f - e) * quick_reciprocal(1.0f + e);
    float z = a * a;
    float small = madd(a * z, polynomial(z, -0.333246082f, 0.128771022f), a);
    return copysign(a < 0.25f ? small : large, x);
  }
};

/** x P(x^2), fitted on [0, 2.6]; from there on the result rounds to 1. */
template <>
struct HalfBody<op::Erf> {
  static constexpr bool exists = true;
  MLX_FN static float apply(float x) {
    float a = fabs(x);
    a = a > 2.6f ? 2.6f : a;
    float p =
        polynomial(a * a, 1.12837505f, -0.37603721f, 0.112499259f, -0.0263514481f, 0.00481635984f,
                   -0.000664227991f, 6.40720318e-05f, -3.78093932e-06f, 1.01172631e-07f);
    return copysign(a * p, x);
  }
};

/** A product with the reciprocal, which a divisor that many elements share has once. Divisors far
 *  from 1 are scaled, so that both are normal. */
template <>
struct HalfBody<op::Divide> {
  static constexpr bool exists = true;
  MLX_FN static float apply(float a, float b) {
    float size = fabs(b);
    float scale = size < 0x1p-100f ? 0x1p64f : size > 0x1p100f ? 0x1p-64f : 1.0f;
    return a * scale * quick_reciprocal(b * scale);
  }
};
template <>
struct HalfBody<op::Reciprocal> {
  static constexpr bool exists = true;
  MLX_FN static float apply(float x) { return HalfBody<op::Divide>::apply(1.0f, x); }
};

template <>
struct HalfBody<op::Sqrt> {
  static constexpr bool exists = true;
  MLX_FN static float apply(float x) {
    float y;
    asm("sqrt.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
};

template <>
struct HalfBody<op::Rsqrt> {
  static constexpr bool exists = true;
  MLX_FN static float apply(float x) {
    float y;
    asm("rsqrt.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
};

/** Sine of x + quarters pi/2 for |x| <= 65536: pi/2 in two parts of 24 bits, whose products are
 *  rounded once in the sum. */
MLX_FN float quick_sine(float x, uint32_t quarters) {
  constexpr float shift = 12582912.0f;  // 1.5 * 2^23
  float t = madd(x, 0.636619747f, shift);
  float n = t - shift;
  float r = madd(n, 4.37113883e-08f, madd(n, -1.57079637f, x));
  uint32_t q = to_bits(t) + quarters;
  float y = (q & 1u) != 0 ? math::cos_reduced(r) : copysign(math::sin_reduced(r), r);
  return float_of(to_bits(y) ^ ((q & 2u) << 30));
}

template <>
struct HalfBody<op::Sin> {
  static constexpr bool exists = true;
  MLX_FN static float apply(float x) {
    if (x == 0) return x;  // of either sign
    return fabs(x) > 65536.0f ? op::Slow<op::Sin>::apply(x) : quick_sine(x, 0);
  }
};
template <>
struct HalfBody<op::Cos> {
  static constexpr bool exists = true;
  MLX_FN static float apply(float x) {
    return fabs(x) > 65536.0f ? op::Slow<op::Cos>::apply(x) : quick_sine(x, 1);
  }
};

/** Powers 1 to 3 by products, as the float body; others by logarithm, whose error of 2^-24 grows
 *  with the result's exponent to 2^-17. */
template <>
struct HalfBody<op::Power> {
  static constexpr bool exists = true;
  MLX_FN static float apply(float x, float y) {
    float a = fabs(x);
    bool tiny = a < 1.17549435e-38f;
    uint32_t bits = to_bits(tiny ? a * 16777216.0f : a);
    uint32_t exponent = (bits - 0x3f3504f3u) & 0xff800000u;
    float f = float_of(bits - exponent) - 1.0f;
    float e =
        madd(static_cast<float>(static_cast<int32_t>(exponent)), 0x1p-23f, tiny ? -24.0f : 0.0f);
    float l = madd(f, math::log2_quotient(f), e);
    l = a == 0.0f ? -inf_f : l;
    l = a == inf_f ? inf_f : l;
    float r = math::power_of_magnitude(x, y, quick_exp2(y * l));
    float product = y == 1.0f ? x : (y == 2.0f ? x * x : x * x * x);
    return op::Power::is_simple(y) ? product : r;
  }
};

}  // namespace mlx::core::kernels
