// Logarithms and what is made of them: log, log2, log10, log1p, power, logaddexp, the inverse
// hyperbolic functions.
#pragma once

#include "mlx/kernels/math_exp.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {
namespace math {

/** e log(2) + log(1 + f) for a whole e and 1 + f in [sqrt(1/2), sqrt(2)), by a polynomial in f (the
 *  scheme of the Cephes library). */
MLX_FN float log_of_parts(float e, float f) {
  float p = polynomial(f, 0.333333313f, -0.24999997f, 0.200007156f, -0.166678026f, 0.142490581f,
                       -0.124256872f, 0.116854198f, -0.114797339f, 0.0697161183f);
  float z = f * f;
  float y = madd(f * z, p, e * -2.12194440e-4f);
  y = madd(z, -0.5f, y);
  return madd(e, 0.693359375f, f + y);
}

/** Natural logarithm, at most 1.5 ULP over the whole range: x = 2^e m with m in [sqrt(1/2),
 *  sqrt(2)). */
MLX_FN float log(float x) {
  bool tiny = x < 1.17549435e-38f;
  float scaled = tiny ? x * 8388608.0f : x;
  uint32_t shifted = to_bits(scaled) - 0x3f3504f3u;  // bits of sqrt(1/2)
  float e = static_cast<float>(static_cast<int32_t>(shifted) >> 23) - (tiny ? 23.0f : 0.0f);
  float r = log_of_parts(e, float_of((shifted & 0x7fffffu) + 0x3f3504f3u) - 1.0f);
  r = x == inf_f ? inf_f : r;
  r = x == 0.0f ? -inf_f : r;
  return x < 0.0f || is_nan(x) ? nan_f : r;
}

/** log2(1 + f) / f for 1 + f in [sqrt(1/2), sqrt(2)); times f it is good to 2^-24. */
MLX_FN float log2_quotient(float f) {
  return polynomial(f, 1.44269478f, -0.721357167f, 0.480938703f, -0.360086203f, 0.286722124f,
                    -0.250092f, 0.236802056f, -0.145578846f);
}

struct LogParts {
  double e, f, rest;  // log(x) = e log(2) + f - rest
};

/** Of a positive normal double: 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)). */
MLX_FN LogParts log_parts(double x) {
  constexpr uint64_t root_half = 0x3fe6a09e667f3bcdull;
  uint64_t shifted = to_bits(x) - root_half + (1023ull << 52);
  double e = double_of((shifted >> 52) | 0x4330000000000000ull) - (4503599627370496.0 + 1023.0);
  double f = double_of((shifted & 0xfffffffffffffull) + root_half) - 1.0;
  double s = f / (2.0 + f);
  double z = s * s;
  double p = polynomial(z, 0.66666666666666663, 0.40000000000000885, 0.28571428570799784,
                        0.22222222392581045, 0.18181795547521137, 0.15386244737621665,
                        0.13268638369266825, 0.13088034850927555);
  // log(1+f) = f - f^2/2 + s (f^2/2 + z p), which keeps the leading term exact.
  double h = 0.5 * f * f;
  return {e, f, h - s * madd(z, p, h)};
}

MLX_FN double log_of(const LogParts& parts) {
  double low = madd(-parts.e, 1.90821492927058770002e-10, parts.rest);
  return madd(parts.e, 0.693147180369123816490, parts.f - low);
}

/** Natural logarithm of a positive normal double, about 2 ULP of double. */
MLX_FN double log_core(double x) { return log_of(log_parts(x)); }

/** log(1 + x) for a double x in (-1, 1e300), about 2 ULP of double. */
MLX_FN double log1p_core(double x) {
  double u = 1.0 + x;
  double lost = fabs(x) < 1.0 ? x - (u - 1.0) : 0.0;
  return log_core(u) + lost / u;
}

/** Values of a logarithm outside its domain's interior: x = 0, x < 0, infinity and NaN. */
MLX_FN float log_edges(double x, double interior) {
  double r = x == inf_d ? inf_d : interior;
  r = x == 0.0 ? -inf_d : r;
  return static_cast<float>(x < 0.0 || is_nan(x) ? nan_d : r);
}

/** log2 and log10, at most 1 ULP: the double core rounded once; exact for powers of the base. */
MLX_FN float log2(float x) {
  constexpr double lo = 1.0 / 0.693147180559945309417;
  return log_edges(x, log_core(x) * lo);
}
MLX_FN float log10(float x) { return log_edges(x, log_core(x) * 0.43429448190325182765); }

/** log(1 + x), at most 1.5 ULP: as log, with what 1 + x loses in rounding. */
MLX_FN float log1p(float x) {
  float u = 1.0f + x;
  float lost = x - (u - 1.0f);
  int32_t shifted = static_cast<int32_t>(to_bits(u) - 0x3f3504f3u) >> 23;
  uint32_t exponent = static_cast<uint32_t>(shifted) << 23;
  // Of large numbers nothing is lost, and 2^-e would leave the range.
  float scale = float_of(0x3f800000u - (shifted > 64 ? 0u : exponent));
  float f = madd(lost, scale, float_of(to_bits(u) - exponent) - 1.0f);
  float r = log_of_parts(static_cast<float>(shifted), f);
  r = x == inf_f ? inf_f : r;
  r = x == -1.0f ? -inf_f : r;
  return x < -1.0f || is_nan(x) ? nan_f : copysign(r, x);
}

/** log(exp(a) + exp(b)), at most 1 ULP of the result or 2^-50 of max(|a|, |b|). */
MLX_FN float logaddexp(float a, float b) {
  float high = a > b ? a : b;
  double low = a > b ? b : a;
  double tail = log1p_core(exp_core(clamp(low - high, -200.0, 0.0)));
  float r = static_cast<float>(high + tail);
  r = is_inf(high) ? high : r;
  return is_nan(a) || is_nan(b) ? nan_f : r;
}

/** x to the power y from |x| to the power y, with the special values of IEEE 754. */
MLX_FN float power_of_magnitude(float x, float y, float magnitude) {
  bool whole = floor(y) == y;
  bool odd = whole && floor(y * 0.5f) * 2.0f != y;
  bool negative = (to_bits(x) >> 31) != 0 && odd && is_finite(y);
  float r = negative ? -magnitude : magnitude;
  r = x < 0.0f && is_finite(x) && !whole ? nan_f : r;
  r = is_nan(x) || is_nan(y) ? nan_f : r;
  r = fabs(x) == 1.0f && is_inf(y) ? 1.0f : r;
  return y == 0.0f || x == 1.0f ? 1.0f : r;
}

/** x to the power y, at most 1 ULP: exp(y log|x|) in double carries 28 bits more than the result
 *  needs. */
MLX_FN float power(float x, float y) {
  double ax = fabs(x);
  double l = log_core(ax);
  l = ax == 0.0 ? -inf_d : l;
  l = ax == inf_d ? inf_d : l;
  double magnitude = exp_core(clamp(static_cast<double>(y) * l, -200.0, 200.0));
  return power_of_magnitude(x, y, static_cast<float>(magnitude));
}

/** Inverse hyperbolic functions, at most 1 ULP: log1p of forms without cancellation, in double. */
MLX_FN float arcsinh(float x) {
  double a = fabs(x);
  double y = log1p_core(a + a * a / (1.0 + sqrt(a * a + 1.0)));
  double r = a == inf_d ? inf_d : y;
  return copysign(static_cast<float>(r), x);
}
MLX_FN float arccosh(float x) {
  double t = static_cast<double>(x) - 1.0;
  double y = log1p_core(t + sqrt(t * (t + 2.0)));
  y = x == inf_f ? inf_d : y;
  return static_cast<float>(x >= 1.0f ? y : nan_d);
}
MLX_FN float arctanh(float x) {
  double a = fabs(x);
  double y = 0.5 * log1p_core(2.0 * a / (1.0 - a));
  y = a == 1.0 ? inf_d : y;
  return a <= 1.0 ? copysign(static_cast<float>(y), x) : nan_f;
}

/** log_parts of any positive double. */
MLX_FN LogParts log_parts_of_any(double x) {
  bool tiny = x < 2.2250738585072014e-308;
  LogParts parts = log_parts(tiny ? x * 18014398509481984.0 : x);
  parts.e -= tiny ? 54.0 : 0.0;
  return parts;
}

MLX_FN double log_edges_d(double x, double interior) {
  double r = x == inf_d ? inf_d : interior;
  r = x == 0.0 ? -inf_d : r;
  return x < 0.0 || is_nan(x) ? nan_d : r;
}

/** Logarithms of doubles, at most 2 ULP; log2 is exact for powers of two, and log10, which is the C
 *  library's, for those of ten. */
MLX_FN double log(double x) { return log_edges_d(x, log_of(log_parts_of_any(x))); }
MLX_FN double log2(double x) {
  LogParts parts = log_parts_of_any(x);
  // 1 / log(2) in two parts: what is added to e has to be as good as e.
  double value = parts.f - parts.rest;
  double interior = madd(value, 2.0355273740931033e-17, value * 1.4426950408889634) + parts.e;
  return log_edges_d(x, interior);
}
MLX_FN double log10(double x) { return MLX_F64(log10)(x); }

/** At most 3 ULP. */
MLX_FN double log1p(double x) {
  double u = 1.0 + x;
  double lost = fabs(x) < 1.0 ? x - (u - 1.0) : 1.0 - (u - x);
  double r = log_core(u) + lost / u;
  return copysign(log_edges_d(u, is_inf(u) ? inf_d : r), x);
}

/** Inverse hyperbolic functions of doubles, at most 4 ULP. Squares of large ones leave the range.
 */
MLX_FN double arcsinh(double x) {
  double a = fabs(x);
  double b = a > 1e9 ? 1e9 : a;
  double near = log1p_core(b + b * b / (1.0 + sqrt(madd(b, b, 1.0))));
  double r = a > 1e9 ? log(a) + 0.69314718055994531 : near;
  return copysign(r, x);
}
MLX_FN double arccosh(double x) {
  double t = (x > 1e9 ? 1e9 : x) - 1.0;
  double near = log1p_core(t + sqrt(t * (t + 2.0)));
  double r = x > 1e9 ? log(x) + 0.69314718055994531 : near;
  return x >= 1.0 ? r : nan_d;
}
MLX_FN double arctanh(double x) {
  double a = fabs(x);
  double y = 0.5 * log1p_core(2.0 * a / (1.0 - a));
  y = a == 1.0 ? inf_d : y;
  return a <= 1.0 ? copysign(y, x) : nan_d;
}

/** The C library's, below 1 ULP. */
MLX_FN double power(double x, double y) { return MLX_F64(pow)(x, y); }

/** As that of floats, rounded to double. */
MLX_FN double logaddexp(double a, double b) {
  double high = a > b ? a : b;
  double low = a > b ? b : a;
  double r = high + log1p_core(exp(low - high));
  r = is_inf(high) ? high : r;
  return is_nan(a) || is_nan(b) ? nan_d : r;
}

}  // namespace math
}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
