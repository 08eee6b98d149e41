// complex64 arithmetic and functions. Everything is computed in double from textbook identities and
// rounded once at the end, so no float intermediate overflows and the error stays near 1 ULP per
// component away from the branch points.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {
namespace math {

using MLX_ISA::sqrt;  // beside the complex one below

struct Complex2 {
  double re, im;
};

MLX_FN Complex2 widen(Complex z) { return {z.re, z.im}; }
MLX_FN Complex narrow(Complex2 z) { return {static_cast<float>(z.re), static_cast<float>(z.im)}; }

MLX_FN Complex2 mul(Complex2 a, Complex2 b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
MLX_FN Complex2 div(Complex2 a, Complex2 b) {
  double n = b.re * b.re + b.im * b.im;
  return {(a.re * b.re + a.im * b.im) / n, (a.im * b.re - a.re * b.im) / n};
}
MLX_FN double modulus(Complex2 z) {
  double r = sqrt(z.re * z.re + z.im * z.im);
  return is_inf(z.re) || is_inf(z.im) ? inf_d : r;
}
MLX_FN double argument(Complex2 z) { return MLX_F64(atan2)(z.im, z.re); }

MLX_FN Complex2 exp2c(Complex2 z) {
  double m = MLX_F64(exp)(z.re);
  // A zero imaginary part stays one, also times an infinite modulus.
  double s = z.im == 0.0 ? z.im : m * MLX_F64(sin)(z.im);
  return {z.im == 0.0 ? m : m * MLX_F64(cos)(z.im), s};
}
MLX_FN Complex2 log2c(Complex2 z) {
  double a = fabs(z.re), b = fabs(z.im);
  double high = a > b ? a : b, low = a > b ? b : a;
  // Near the unit circle log|z| = log1p(|z|^2 - 1) / 2 without cancellation.
  double near = 0.5 * MLX_F64(log1p)((high - 1.0) * (high + 1.0) + low * low);
  double far = MLX_F64(log)(modulus(z));
  return {high > 0.5 && high < 2.0 ? near : far, argument(z)};
}
/** The root with a non-negative real part. */
MLX_FN Complex2 sqrt2c(Complex2 z) {
  double m = modulus(z);
  double t = sqrt(0.5 * (m + fabs(z.re)));
  double o = t == 0.0 ? 0.0 : fabs(z.im) / (2.0 * t);
  Complex2 r = z.re >= 0.0 ? Complex2{t, copysign(o, z.im)} : Complex2{o, copysign(t, z.im)};
  return is_inf(z.im) ? Complex2{inf_d, z.im} : r;
}

MLX_FN Complex exp(Complex z) { return narrow(exp2c(widen(z))); }
MLX_FN Complex log(Complex z) { return narrow(log2c(widen(z))); }
MLX_FN Complex scaled_log(Complex z, double factor) {
  Complex2 l = log2c(widen(z));
  return narrow({l.re * factor, l.im * factor});
}
MLX_FN Complex log2(Complex z) { return scaled_log(z, 1.44269504088896340736); }
MLX_FN Complex log10(Complex z) { return scaled_log(z, 0.43429448190325182765); }
MLX_FN Complex log1p(Complex z) {
  Complex2 d = widen(z);
  double x = 0.5 * MLX_F64(log1p)(d.re * (2.0 + d.re) + d.im * d.im);
  Complex2 far = log2c({1.0 + d.re, d.im});
  return narrow({modulus(d) < 0.5 ? x : far.re, far.im});
}
MLX_FN Complex sqrt(Complex z) { return narrow(sqrt2c(widen(z))); }
MLX_FN Complex rsqrt(Complex z) { return narrow(div({1.0, 0.0}, sqrt2c(widen(z)))); }
MLX_FN Complex reciprocal(Complex z) { return narrow(div({1.0, 0.0}, widen(z))); }
MLX_FN Complex divide(Complex a, Complex b) { return narrow(div(widen(a), widen(b))); }

MLX_FN Complex2 sinh2c(Complex2 z) {
  return {MLX_F64(sinh)(z.re) * MLX_F64(cos)(z.im), MLX_F64(cosh)(z.re) * MLX_F64(sin)(z.im)};
}
MLX_FN Complex2 cosh2c(Complex2 z) {
  return {MLX_F64(cosh)(z.re) * MLX_F64(cos)(z.im), MLX_F64(sinh)(z.re) * MLX_F64(sin)(z.im)};
}
/** (sinh 2x + i sin 2y) / (cosh 2x + cos 2y), which is 1 in modulus for large |x|. */
MLX_FN Complex2 tanh2c(Complex2 z) {
  double x = z.re > 50.0 ? 50.0 : (z.re < -50.0 ? -50.0 : z.re);
  double s = MLX_F64(sinh)(x), c = MLX_F64(cos)(z.im);
  double n = s * s + c * c;
  return {s * MLX_F64(cosh)(x) / n, MLX_F64(sin)(z.im) * c / n};
}
// Circular functions are the hyperbolic ones of i z, turned back.
MLX_FN Complex2 times_i(Complex2 z) { return {-z.im, z.re}; }
MLX_FN Complex2 over_i(Complex2 z) { return {z.im, -z.re}; }

MLX_FN Complex sinh(Complex z) { return narrow(sinh2c(widen(z))); }
MLX_FN Complex cosh(Complex z) { return narrow(cosh2c(widen(z))); }
MLX_FN Complex tanh(Complex z) { return narrow(tanh2c(widen(z))); }
MLX_FN Complex sin(Complex z) { return narrow(over_i(sinh2c(times_i(widen(z))))); }
MLX_FN Complex cos(Complex z) { return narrow(cosh2c(times_i(widen(z)))); }
MLX_FN Complex tan(Complex z) { return narrow(over_i(tanh2c(times_i(widen(z))))); }

/** arcsin and arccos by Hull, Fairgrieve and Tang's alpha and beta, without their rescaling for
 *  huge arguments, which double does not need for float inputs. */
struct ArcParts {
  double beta;   // |Re sin(w)| argument: arcsin(beta) is |Re|
  double width;  // |Im|
};
MLX_FN ArcParts arc_parts(double x, double y) {
  double r = modulus({x + 1.0, y}), s = modulus({x - 1.0, y});
  double a = 0.5 * (r + s);
  // a - 1 without cancellation: the sum of the parts that r and s add to their real legs.
  double tr = y * y / (r + (x + 1.0));
  double ts = x < 1.0 ? y * y / (s + (1.0 - x)) : s + (x - 1.0);
  double am1 = 0.5 * (tr + (y == 0.0 && x < 1.0 ? 0.0 : ts));
  return {x / a, MLX_F64(log1p)(am1 + sqrt(am1 * (a + 1.0)))};
}
MLX_FN double arcsin_beta(double beta, double x, double y) {
  // Close to 1 the arc tangent keeps the digits that arcsin(beta) would lose.
  double r = modulus({x + 1.0, y}), s = modulus({x - 1.0, y});
  double a = 0.5 * (r + s);
  double w = x <= 1.0 ? 0.5 * (a + x) * (y * y / (r + x + 1.0) + (s + (1.0 - x)))
                      : 0.5 * (a + x) * y * y * (1.0 / (r + x + 1.0) + 1.0 / (s + (x - 1.0)));
  return beta <= 0.64 ? MLX_F64(asin)(beta) : MLX_F64(atan2)(x, sqrt(w));
}
MLX_FN Complex2 arcsin2c(Complex2 z) {
  double x = fabs(z.re), y = fabs(z.im);
  ArcParts p = arc_parts(x, y);
  return {copysign(arcsin_beta(p.beta, x, y), z.re), copysign(p.width, z.im)};
}
MLX_FN Complex arcsin(Complex z) { return narrow(arcsin2c(widen(z))); }
MLX_FN Complex arccos(Complex z) {
  Complex2 s = arcsin2c(widen(z));
  return narrow({1.5707963267948966 - s.re, -s.im});
}
MLX_FN Complex arcsinh(Complex z) { return narrow(over_i(arcsin2c(times_i(widen(z))))); }
/** i arccos(z) or its negative, whichever has the non-negative real part. */
MLX_FN Complex arccosh(Complex z) {
  Complex2 s = arcsin2c(widen(z));
  double c = 1.5707963267948966 - s.re;
  return narrow({fabs(s.im), copysign(c, static_cast<double>(z.im))});
}
MLX_FN Complex2 arctanh2c(Complex2 z) {
  double x = fabs(z.re), y = z.im;
  double d = (1.0 - x) * (1.0 - x) + y * y;
  double re = 0.25 * MLX_F64(log1p)(4.0 * x / d);
  double im = 0.5 * MLX_F64(atan2)(2.0 * y, (1.0 - x) * (1.0 + x) - y * y);
  return {copysign(re, z.re), im};
}
MLX_FN Complex arctanh(Complex z) { return narrow(arctanh2c(widen(z))); }
MLX_FN Complex arctan(Complex z) { return narrow(over_i(arctanh2c(times_i(widen(z))))); }

/** a to the power b: exp(b log a); 1 for b = 0, and 0 for a = 0 with Re b > 0. */
MLX_FN Complex power(Complex a, Complex b) {
  Complex r = narrow(exp2c(mul(widen(b), log2c(widen(a)))));
  bool base_zero = a.re == 0.0f && a.im == 0.0f;
  bool exponent_zero = b.re == 0.0f && b.im == 0.0f;
  r = base_zero && b.re > 0.0f ? Complex{0.0f, 0.0f} : r;
  return exponent_zero ? Complex{1.0f, 0.0f} : r;
}
/** log(exp(a) + exp(b)), the term of larger real part taken out. */
MLX_FN Complex logaddexp(Complex a, Complex b) {
  Complex2 high = a.re > b.re ? widen(a) : widen(b);
  Complex2 low = a.re > b.re ? widen(b) : widen(a);
  Complex2 e = exp2c({low.re - high.re, low.im - high.im});
  Complex2 l = log2c({1.0 + e.re, e.im});
  bool absorbed = is_inf(high.re);
  return narrow({absorbed ? high.re : high.re + l.re, absorbed ? high.im : high.im + l.im});
}

}  // namespace math
}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
