// complex128 arithmetic and functions, where no wider type takes care of the range: what could
// overflow, underflow or cancel on the way is scaled, or computed from another identity. Errors are
// a few ULP of the result's modulus. Infinities, NaN and zeros give the values of C's Annex G.
#pragma once

#include "mlx/kernels/math_complex.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {
namespace math {
namespace wide {

/** A product on its own: compilers would fuse it with an addition in some places of a loop and not
 *  in others. */
MLX_FN double rounded(double x) {
#ifndef __CUDACC__
  asm("" : "+x"(x));
#endif
  return x;
}
MLX_FN double scaled(double x, int by) { return MLX_F64(scalbn)(x, by); }
MLX_FN WideComplex scaled(WideComplex z, int by) { return {scaled(z.re, by), scaled(z.im, by)}; }
MLX_FN double largest_part(WideComplex z) {
  double a = fabs(z.re), b = fabs(z.im);
  return a > b ? a : b;
}
MLX_FN bool is_finite(WideComplex z) { return MLX_ISA::is_finite(z.re) & MLX_ISA::is_finite(z.im); }
MLX_FN double modulus(WideComplex z) { return MLX_F64(hypot)(z.re, z.im); }
MLX_FN double fused(double a, double b, double c) { return MLX_F64(fma)(a, b, c); }

constexpr double log_of_2 = 0.693147180559945309417;
constexpr double quarter_turn = 1.57079632679489661923;
/** Beyond this exp may leave the range, and its root is squared at the end instead. */
constexpr double exp_limit = 700.0;

/** log|z|. */
MLX_FN double log_modulus(WideComplex z) {
  double a = fabs(z.re), b = fabs(z.im);
  double high = a > b ? a : b, low = a > b ? b : a;
  if (high > 0.5 && high < 2.0) {  // |z|^2 - 1 with the errors of both squares
    double h = high * high, l = low * low;
    double errors = fused(high, high, -h) + fused(low, low, -l);
    return 0.5 * MLX_F64(log1p)(((h - 1.0) + l) + errors);
  }
  int by = high > 1e300 ? -2 : (high < 1e-290 && high > 0.0 ? 128 : 0);
  return MLX_F64(log)(modulus(scaled(z, by))) - by * log_of_2;
}

/** exp(x) times the factor, which is at most 1, without leaving the range before. */
MLX_FN double exp_times(double x, double factor) {
  if (fabs(x) <= exp_limit) return MLX_F64(exp)(x) * factor;
  double root = MLX_F64(exp)(0.5 * x);
  return root * factor * root;
}

}  // namespace wide

MLX_FN WideComplex multiply(WideComplex a, WideComplex b) {
  using wide::rounded;
  return {rounded(a.re * b.re) - rounded(a.im * b.im), rounded(a.re * b.im) + rounded(a.im * b.re)};
}

MLX_FN WideComplex divide(WideComplex a, WideComplex b) {
  double high_a = wide::largest_part(a), high_b = wide::largest_part(b);
  bool finite = wide::is_finite(a) && wide::is_finite(b);
  bool near_one = high_b > 1e-140 && high_b < 1e140 && high_a < 1e150 && high_a > 1e-150;
  if (!finite || high_b == 0.0 || near_one) return div(a, b);
  int up = MLX_F64(ilogb)(high_b), down = high_a == 0.0 ? 0 : MLX_F64(ilogb)(high_a);
  return wide::scaled(div(wide::scaled(a, -down), wide::scaled(b, -up)), down - up);
}
MLX_FN WideComplex reciprocal(WideComplex z) { return divide({1.0, 0.0}, z); }

MLX_FN WideComplex exp(WideComplex z) {
  if (!wide::is_finite(z) || z.im == 0.0) return exp2c(z);
  return {wide::exp_times(z.re, MLX_F64(cos)(z.im)), wide::exp_times(z.re, MLX_F64(sin)(z.im))};
}
MLX_FN WideComplex expm1(WideComplex z) {
  if (!wide::is_finite(z) || z.im == 0.0) return expm12c(z);
  WideComplex e = exp(z);
  if (z.re > wide::exp_limit) return e;
  double h = MLX_F64(sin)(0.5 * z.im);
  return {MLX_F64(expm1)(z.re) * MLX_F64(cos)(z.im) - 2.0 * h * h, e.im};
}

MLX_FN WideComplex log(WideComplex z) { return {wide::log_modulus(z), argument(z)}; }
MLX_FN WideComplex scaled_log(WideComplex z, double factor) {
  WideComplex l = log(z);
  return {l.re * factor, l.im * factor};
}
MLX_FN WideComplex log2(WideComplex z) { return scaled_log(z, 1.44269504088896340736); }
MLX_FN WideComplex log10(WideComplex z) { return scaled_log(z, 0.43429448190325182765); }
MLX_FN WideComplex log1p(WideComplex z) {
  WideComplex far = log(WideComplex{1.0 + z.re, z.im});
  if (!(wide::largest_part(z) < 0.5)) return far;
  // |1 + z|^2 - 1 with the errors of both squares
  double a = z.re * z.re, b = z.im * z.im;
  double errors = wide::fused(z.re, z.re, -a) + wide::fused(z.im, z.im, -b);
  return {0.5 * MLX_F64(log1p)((2.0 * z.re + b) + a + errors), far.im};
}

MLX_FN WideComplex sqrt(WideComplex z) {
  double high = wide::largest_part(z);
  bool inside = high > 1e-140 && high < 1e150;
  if (inside || high == 0.0 || !wide::is_finite(z)) return sqrt2c(z);
  int by = high > 1.0 ? -600 : 600;
  return wide::scaled(sqrt2c(wide::scaled(z, by)), -by / 2);
}
MLX_FN WideComplex rsqrt(WideComplex z) { return reciprocal(sqrt(z)); }

MLX_FN WideComplex sinh(WideComplex z) {
  if (!(fabs(z.re) > wide::exp_limit) || !wide::is_finite(z) || z.im == 0.0) return sinh2c(z);
  double x = fabs(z.re), c = 0.5 * MLX_F64(cos)(z.im), s = 0.5 * MLX_F64(sin)(z.im);
  return {copysign(1.0, z.re) * wide::exp_times(x, c), wide::exp_times(x, s)};
}
MLX_FN WideComplex cosh(WideComplex z) {
  if (!(fabs(z.re) > wide::exp_limit) || !wide::is_finite(z) || z.im == 0.0) return cosh2c(z);
  double x = fabs(z.re), c = 0.5 * MLX_F64(cos)(z.im), s = 0.5 * MLX_F64(sin)(z.im);
  return {wide::exp_times(x, c), copysign(1.0, z.re) * wide::exp_times(x, s)};
}
MLX_FN WideComplex tanh(WideComplex z) {
  if (!(fabs(z.re) > 20.0) || !wide::is_finite(z)) return tanh2c(z);
  double im = 4.0 * MLX_F64(sin)(z.im) * MLX_F64(cos)(z.im) * MLX_F64(exp)(-2.0 * fabs(z.re));
  return {copysign(1.0, z.re), z.im == 0.0 ? z.im : im};
}
MLX_FN WideComplex sin(WideComplex z) { return over_i(sinh(times_i(z))); }
MLX_FN WideComplex cos(WideComplex z) { return cosh(times_i(z)); }
MLX_FN WideComplex tan(WideComplex z) { return over_i(tanh(times_i(z))); }

namespace wide {

/** math::arc for every x, y >= 0: far out its angle is that of the argument and its width a
 *  logarithm; beside the real axis between the branch points squares of y would vanish. */
MLX_FN Arc arc(double x, double y) {
  if (!(x >= 1e100 || y >= 1e100)) {
    Arc a = math::arc(x, y);
    if (y < 1e-140) {
      double root = math::sqrt((1.0 - x) * (1.0 + x));
      if (x < 1.0) a.width = y / root;
      if (x == 1.0) a.width = a.cosine = math::sqrt(y);
      if (x > 1.0) {
        a.sine = quarter_turn;
        a.cosine = y / math::sqrt((x - 1.0) * (x + 1.0));
      }
    }
    return a;
  }
  double width = log_modulus({x, y}) + log_of_2;
  return {MLX_F64(atan2)(x, y), MLX_F64(atan2)(y, x), width};
}

}  // namespace wide

MLX_FN WideComplex arcsin(WideComplex z) {
  Arc a = wide::arc(fabs(z.re), fabs(z.im));
  return {copysign(a.sine, z.re), copysign(a.width, z.im)};
}
MLX_FN WideComplex arccos(WideComplex z) {
  Arc a = wide::arc(fabs(z.re), fabs(z.im));
  return {z.re < 0.0 ? 2.0 * wide::quarter_turn - a.cosine : a.cosine, copysign(a.width, -z.im)};
}
MLX_FN WideComplex arcsinh(WideComplex z) { return over_i(arcsin(times_i(z))); }
MLX_FN WideComplex arccosh(WideComplex z) {
  WideComplex c = arccos(z);
  return {fabs(c.im), copysign(c.re, z.im)};
}
MLX_FN WideComplex arctanh(WideComplex z) {
  double x = fabs(z.re), y = fabs(z.im);
  if (wide::is_finite(z) && wide::largest_part(z) > 1e140) {
    return {copysign(reciprocal(WideComplex{x, y}).re, z.re), copysign(wide::quarter_turn, z.im)};
  }
  WideComplex r = arctanh2c(z);
  // At the branch points the square of y would vanish.
  if (x == 1.0 && y < 1e-140) {
    r.re = copysign(0.5 * (wide::log_of_2 - MLX_F64(log)(y)), z.re);
  }
  return r;
}
MLX_FN WideComplex arctan(WideComplex z) { return over_i(arctanh(times_i(z))); }

/** a to the power b: small whole exponents by products, others exp(b log a). */
MLX_FN WideComplex power(WideComplex a, WideComplex b) {
  if (b.re == 0.0 && b.im == 0.0) return {1.0, 0.0};
  if (b.im == 0.0 && fabs(b.re) <= 64.0 && b.re == rint(b.re)) {
    int n = static_cast<int>(fabs(b.re));
    for (; (n & 1) == 0; n >>= 1) a = multiply(a, a);
    WideComplex result = a;
    while ((n >>= 1) > 0) {
      a = multiply(a, a);
      result = (n & 1) != 0 ? multiply(result, a) : result;
    }
    return b.re < 0.0 ? reciprocal(result) : result;
  }
  bool base_zero = a.re == 0.0 && a.im == 0.0;
  return base_zero && b.re > 0.0 ? WideComplex{0.0, 0.0} : exp(multiply(b, log(a)));
}
/** log(exp(a) + exp(b)), the term of larger real part taken out; the angle in (-pi, pi]. */
MLX_FN WideComplex logaddexp(WideComplex a, WideComplex b) {
  WideComplex high = a.re > b.re ? a : b, low = a.re > b.re ? b : a;
  WideComplex e = exp(WideComplex{low.re - high.re, low.im - high.im});
  WideComplex l = log1p(e);
  bool absorbed = is_inf(high.re);
  double angle = principal(absorbed ? high.im : high.im + l.im);
  return {absorbed ? high.re : high.re + l.re, angle};
}

}  // namespace math
}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
