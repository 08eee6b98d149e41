// Circular functions and their inverses. Arguments are reduced in double; beyond trig_limit the
// kernels take the slow path, which reduces with all the bits of pi.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {
namespace math {

/** Largest |x| whose reduction modulo pi/2 by three parts is exact enough: n below 2^27. */
inline constexpr float trig_limit = 134217728.0f;

struct Quadrant {
  double r;    // in [-pi/4, pi/4]
  uint32_t n;  // x = r + n pi/2, modulo 4 in the low bits
};

/** pi/2 in parts of 25, 25 and 53 bits: the products with n are exact (method of Cody and Waite).
 */
MLX_FN Quadrant reduce_angle(float x) {
  constexpr double shift = 6755399441055744.0;  // 1.5 * 2^52
  double d = x;
  double t = d * 0.63661977236758134308 + shift;
  double n = t - shift;
  double r = madd(n, -1.57079631090164184570, d);
  r = madd(n, -1.58932547122958567343e-08, r);
  r = madd(n, -6.12323399573676603587e-17, r);
  return {r, static_cast<uint32_t>(to_bits(t))};
}

/** sin and cos on [-pi/4, pi/4], about 0.6 ULP for r exact. */
MLX_FN float sin_reduced(float r) {
  float z = r * r;
  return madd(r * z,
              polynomial(z, -0.166666672f, 0.00833333191f, -0.000198400827f, 2.72493139e-06f), r);
}
MLX_FN float cos_reduced(float r) {
  float z = r * r;
  float h = 0.5f * z;
  float w = 1.0f - h;  // the rounding error of w returns through (1 - w) - h
  return w + madd(z * z, polynomial(z, 0.0416666642f, -0.00138883002f, 2.45474366e-05f),
                  (1.0f - w) - h);
}

/** sin and cos for |x| <= trig_limit, at most 1.5 ULP; NaN for NaN. */
MLX_FN float sin_bounded(float x) {
  Quadrant q = reduce_angle(x);
  float r = static_cast<float>(q.r);
  float y = (q.n & 1u) != 0 ? cos_reduced(r) : copysign(sin_reduced(r), r);
  return float_of(to_bits(y) ^ ((q.n & 2u) << 30));
}
MLX_FN float cos_bounded(float x) {
  Quadrant q = reduce_angle(x);
  float r = static_cast<float>(q.r);
  float y = (q.n & 1u) != 0 ? sin_reduced(r) : cos_reduced(r);
  return float_of(to_bits(y) ^ (((q.n + 1u) & 2u) << 30));
}

/** tan for |x| <= trig_limit, at most 1 ULP: sine over cosine in double. */
MLX_FN float tan_bounded(float x) {
  Quadrant q = reduce_angle(x);
  double z = q.r * q.r;
  double s =
      madd(q.r * z,
           polynomial(z, -0.16666666666666666, 0.0083333333333309254, -0.00019841269836722437,
                      2.7557316083825739e-06, -2.5051127945965639e-08, 1.591784866512194e-10),
           q.r);
  double c =
      madd(z * z,
           polynomial(z, 0.041666666666664659, -0.0013888888887264431, 2.4801585198447502e-05,
                      -2.7556365904156608e-07, 2.0700249642981533e-09),
           1.0 - 0.5 * z);
  bool swap = (q.n & 1u) != 0;
  float y = static_cast<float>((swap ? -c : s) / (swap ? s : c));
  return x == 0.0f ? x : y;
}

/** Any argument: the C library's double functions know all of pi. For the rare large lanes. (CUDA
 *  overloads the names for float, hence the casts.) */
MLX_FN float sin_any(float x) { return static_cast<float>(MLX_F64(sin)(static_cast<double>(x))); }
MLX_FN float cos_any(float x) { return static_cast<float>(MLX_F64(cos)(static_cast<double>(x))); }
MLX_FN float tan_any(float x) { return static_cast<float>(MLX_F64(tan)(static_cast<double>(x))); }

/** arctan of numerator / denominator >= 0 (not both 0), in [0, pi/2], about 2^-43 relative. */
MLX_FN double arctan_ratio(double num, double den) {
  constexpr double tan_8 = 0.41421356237309503, tan_3_8 = 2.4142135623730949;
  bool high = num > tan_3_8 * den;
  bool middle = !high && num > tan_8 * den;
  double n = high ? -den : (middle ? num - den : num);
  double d = high ? num : (middle ? num + den : den);
  double base = high ? 1.5707963267948966 : (middle ? 0.78539816339744831 : 0.0);
  double t = n / d;
  double z = t * t;
  double p = polynomial(z, -0.33333333333330883, 0.19999999997691129, -0.14285713925822199,
                        0.11111089416996828, -0.090902501837086563, 0.076809678613837529,
                        -0.065503359913478665, 0.051666476539482989, -0.027199003962252381);
  return base + madd(t * z, p, t);
}

/** arctan, at most 1 ULP. */
MLX_FN float arctan(float x) {
  double a = fabs(x);
  double y = a == inf_d ? 1.5707963267948966 : arctan_ratio(a, 1.0);
  return copysign(static_cast<float>(y), x);
}

/** Angle of the point (x, y), at most 1 ULP, with the special values of C's atan2. */
MLX_FN float arctan2(float y, float x) {
  double ay = fabs(y), ax = fabs(x);
  bool both_inf = ay == inf_d && ax == inf_d;
  bool both_zero = ay == 0.0 && ax == 0.0;
  ay = both_inf ? 1.0 : ay;
  ax = both_inf || both_zero ? 1.0 : ax;
  double a = ax == inf_d ? 0.0 : (ay == inf_d ? 1.5707963267948966 : arctan_ratio(ay, ax));
  a = (to_bits(x) >> 31) != 0 ? 3.1415926535897931 - a : a;
  float r = copysign(static_cast<float>(a), y);
  return is_nan(x) || is_nan(y) ? nan_f : r;
}

/** arcsin on [0, 1/2] given s and z = s*s, about 2^-41 relative. */
MLX_FN double arcsin_small(double s, double z) {
  return madd(s * z,
              polynomial(z, 0.16666666666662161, 0.075000000035994219, 0.044642852420329455,
                         0.030382183571536783, 0.022366048091739782, 0.017441719105456513,
                         0.013186282871554133, 0.015682585691969324, -0.0029555479088451027,
                         0.027921912047656466),
              s);
}

/** arcsin and arccos, at most 1 ULP; NaN outside [-1, 1]. Above 1/2 by the half-angle identity. */
MLX_FN float arcsin(float x) {
  double a = fabs(x);
  bool large = a > 0.5;
  double z = large ? 0.5 * (1.0 - a) : a * a;
  double p = arcsin_small(large ? sqrt(z) : a, z);
  return copysign(static_cast<float>(large ? 1.5707963267948966 - 2.0 * p : p), x);
}
MLX_FN float arccos(float x) {
  double d = x, a = fabs(d);
  bool large = a > 0.5;
  double z = large ? 0.5 * (1.0 - a) : a * a;
  double p = arcsin_small(large ? sqrt(z) : d, z);
  double outer = d < 0.0 ? 3.1415926535897931 - 2.0 * p : 2.0 * p;
  return static_cast<float>(large ? outer : 1.5707963267948966 - p);
}

// double: the C library, below 1 ULP.
MLX_FN double sin(double x) { return MLX_F64(sin)(x); }
MLX_FN double cos(double x) { return MLX_F64(cos)(x); }
MLX_FN double tan(double x) { return MLX_F64(tan)(x); }
MLX_FN double arcsin(double x) { return MLX_F64(asin)(x); }
MLX_FN double arccos(double x) { return MLX_F64(acos)(x); }
MLX_FN double arctan(double x) { return MLX_F64(atan)(x); }
MLX_FN double arctan2(double y, double x) { return MLX_F64(atan2)(y, x); }

}  // namespace math
}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
