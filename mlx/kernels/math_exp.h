// exp and its relatives: expm1, sigmoid, tanh, sinh, cosh. Of floats the frequent ones stay in
// float; the others and those of doubles go through the double core, exact to a few units of 2^-52.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {
namespace math {

/** 2^n for n in [-126, 127], where t = n + 1.5 * 2^23 holds n in its low bits. */
MLX_FN float power_of_two(uint32_t n) { return float_of((n + 127u) << 23); }

struct ReducedF {
  float value;  // exp(r), |r| <= ln(2)/2
  uint32_t n;   // two's complement; exp(x) = value * 2^n
};

/** Cody-Waite reduction by n*ln(2) and a degree 7 polynomial; |x| <= 105 or NaN. `careful` carries
 *  the rounding errors of r and of 1 + r along: 0.55 ULP instead of 0.95. */
template <bool careful>
MLX_FN ReducedF exp_reduce(float x) {
  constexpr float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  float t = madd(x, 1.44269504f, shift);
  float n = t - shift;
  float high = madd(n, -0.693145751953125f, x);  // 16 bits of ln(2): the product is exact
  float low = n * 1.42860677e-06f;
  float r = high - low;
  float q = polynomial(r, 0.5f, 0.166666672f, 0.041666463f, 0.00833331048f, 0.00139338209f,
                       0.000198911803f);
  uint32_t k = to_bits(t) - to_bits(shift);
  if constexpr (careful) {
    float lost = (high - r) - low;
    float sum = 1.0f + r;
    return {sum + (((1.0f - sum) + r) + madd(r * r, q, lost)), k};
  } else {
    return {1.0f + madd(r * r, q, r), k};
  }
}

/** exp for |x| <= 87 (or NaN), where neither overflow nor subnormals arise; at most 1 ULP. */
MLX_FN float exp_bounded(float x) {
  ReducedF e = exp_reduce<false>(x);
  return e.value * power_of_two(e.n);
}

/** exp(x), at most 0.6 ULP, the whole range with subnormal results (there 1 ULP). */
MLX_FN float exp(float x) {
  x = x < -105.0f ? -105.0f : x;
  x = x > 89.0f ? 89.0f : x;
  ReducedF e = exp_reduce<true>(x);
  uint32_t half = static_cast<uint32_t>(static_cast<int32_t>(e.n) >> 1);
  return e.value * power_of_two(half) * power_of_two(e.n - half);
}

inline constexpr double shift_d = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds

/** 2^n for a whole n in [-1022, 1023]. */
MLX_FN double power_of_two(double n) { return double_of(to_bits(n + (shift_d + 1023.0)) << 52); }

struct ReducedD {
  double minus_one;  // exp(r) - 1, |r| <= ln(2)/2, relative error about 2^-51
  double n;          // exp(x) = (1 + minus_one) * 2^n
};

/** The double core; |x| <= 1000 or NaN. */
MLX_FN ReducedD exp_reduce(double x) {
  double n = madd(x, 1.4426950408889634, shift_d) - shift_d;
  double r = madd(n, -0.693147180369123816490, x);
  r = madd(n, -1.90821492927058770002e-10, r);
  double q = polynomial(r, 0.5, 0.16666666666666669, 0.041666666666623477, 0.0083333333333300112,
                        0.0013888888917538296, 0.00019841269863303223, 2.4801520792572694e-05,
                        2.7557268072890098e-06, 2.7620327428268239e-07, 2.5100569275813683e-08);
  return {madd(r * r, q, r), n};
}

MLX_FN double clamp(double x, double low, double high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

/** exp of a double within [-700, 700], about 2 ULP of double. */
MLX_FN double exp_core(double x) {
  ReducedD e = exp_reduce(x);
  double scale = power_of_two(e.n);
  return madd(e.minus_one, scale, scale);
}

/** exp(x) - 1 of a double within [-700, 700], about 2 ULP of double, also near zero. */
MLX_FN double expm1_core(double x) {
  ReducedD e = exp_reduce(x);
  double scale = power_of_two(e.n);
  return madd(e.minus_one, scale, scale - 1.0);
}

/** exp(x) - 1, at most 1 ULP: the double core rounded once. */
MLX_FN float expm1(float x) {
  double y = expm1_core(clamp(x, -200.0, 200.0));
  return copysign(static_cast<float>(y), x);
}

/** 1 / (1 + exp(-x)), at most 2 ULP, also where the result is subnormal. With e = exp(-|x|) it is
 *  b - b e / (1 + e), b = 1 or e: the rounding of the quotient weighs less than in b / (1 + e). */
MLX_FN float sigmoid(float x) {
  float e = exp(-fabs(x));
  float base = x < 0.0f ? e : 1.0f;
  return madd(-base, bounded_quotient(e, 1.0f + e), base);
}

/** tanh, at most 2 ULP: odd polynomial below 0.65, else 1 - 2 / (exp(2|x|) + 1). */
MLX_FN float tanh(float x) {
  float a = fabs(x);
  float e = exp_bounded(2.0f * (a > 10.0f ? 10.0f : a));
  float large = 1.0f - bounded_quotient(2.0f, e + 1.0f);
  float z = a * a;
  float p = polynomial(z, -0.333333343f, 0.133332908f, -0.0539563484f, 0.0217461865f,
                       -0.00827245694f, 0.00221490278f);
  float small = madd(a * z, p, a);
  return copysign(a < 0.65f ? small : large, x);
}

/** sinh and cosh, at most 1 ULP: from the double core, which cannot overflow here. */
MLX_FN float sinh(float x) {
  double e = expm1_core(clamp(fabs(x), 0.0, 200.0));
  return copysign(static_cast<float>(0.5 * (e + e / (e + 1.0))), x);
}
MLX_FN float cosh(float x) {
  double e = exp_core(clamp(fabs(x), 0.0, 200.0));
  return static_cast<float>(0.5 * (e + 1.0 / e));
}

/** exp(x) 2^-down, at most 1.1 ULP, the whole range with subnormal results. */
template <int down>
MLX_FN double exp_scaled(double x) {
  ReducedD e = exp_reduce(clamp(x, -760.0, 760.0));
  double half = madd(e.n, 0.5, shift_d) - shift_d;
  return (1.0 + e.minus_one) * power_of_two(half) * power_of_two(e.n - half - down);
}

MLX_FN double exp(double x) { return exp_scaled<0>(x); }

/** At most 2 ULP. */
MLX_FN double expm1(double x) {
  ReducedD e = exp_reduce(clamp(x, -60.0, 720.0));
  // Half of it, since 2^1024 is past the range where the result is not.
  double scale = power_of_two(e.n > 1024.0 ? 1023.0 : e.n - 1.0);
  double r = 2.0 * madd(e.minus_one, scale, scale - 0.5);
  r = fabs(x) < 0x1p-1000 ? x : r;
  return copysign(e.n > 1024.0 ? inf_d : r, x);
}

/** At most 2.5 ULP. */
MLX_FN double sigmoid(double x) {
  double e = exp(-fabs(x));
  return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

/** At most 3 ULP. */
MLX_FN double tanh(double x) {
  double a = fabs(x);
  double e = expm1_core(2.0 * (a > 20.0 ? 20.0 : a));
  return copysign(e / (e + 2.0), x);
}

/** At most 3 and 2 ULP. */
MLX_FN double sinh(double x) {
  double a = fabs(x);
  double e = expm1_core(a > 30.0 ? 30.0 : a);
  return copysign(a < 20.0 ? 0.5 * (e + e / (e + 1.0)) : exp_scaled<1>(a), x);
}
MLX_FN double cosh(double x) {
  double half = exp_scaled<1>(fabs(x));
  return half + 0.25 / half;
}

}  // namespace math
}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
