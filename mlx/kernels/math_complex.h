// complex64 arithmetic and functions. Everything is computed in double from textbook identities and
// rounded once at the end, so no float intermediate overflows and the error stays near 1 ULP per
// component away from the branch points. Infinities, NaN and zeros give the values of C's Annex G,
// by selection: nothing branches.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {
namespace math {

using MLX_ISA::sqrt;  // beside the complex one below

using Complex2 = WideComplex;

MLX_FN Complex2 widen(Complex z) { return {z.re, z.im}; }
MLX_FN Complex narrow(Complex2 z) { return {static_cast<float>(z.re), static_cast<float>(z.im)}; }

MLX_FN Complex2 mul(Complex2 a, Complex2 b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
/** 1 for an infinity and 0 for anything else, with its sign. */
MLX_FN double unit_of_inf(double x) { return copysign(is_inf(x) ? 1.0 : 0.0, x); }

/** a / b. What is finite over zero is infinite, infinite over finite too, finite over infinite 0.
 */
MLX_FN Complex2 div(Complex2 a, Complex2 b) {
  double n = b.re * b.re + b.im * b.im;
  Complex2 q = {(a.re * b.re + a.im * b.im) / n, (a.im * b.re - a.re * b.im) / n};
  bool a_infinite = is_inf(a.re) || is_inf(a.im), b_infinite = is_inf(b.re) || is_inf(b.im);
  bool a_finite = is_finite(a.re) && is_finite(a.im), b_finite = is_finite(b.re) && is_finite(b.im);
  Complex2 u = {unit_of_inf(a.re), unit_of_inf(a.im)}, v = {unit_of_inf(b.re), unit_of_inf(b.im)};
  Complex2 over_finite = {inf_d * (u.re * b.re + u.im * b.im), inf_d * (u.im * b.re - u.re * b.im)};
  Complex2 over_infinite = {0.0 * (a.re * v.re + a.im * v.im), 0.0 * (a.im * v.re - a.re * v.im)};
  double pole = copysign(inf_d, b.re);
  q = a_finite && b_infinite ? over_infinite : q;
  q = a_infinite && b_finite ? over_finite : q;
  return n == 0.0 ? Complex2{pole * a.re, pole * a.im} : q;
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
  double c = z.im == 0.0 ? m : m * MLX_F64(cos)(z.im);
  // No angle: zero stays zero, and infinity is real as far as one can tell.
  bool no_angle = !is_finite(z.im);
  bool is_zero = no_angle && z.re == -inf_d;
  return {is_zero ? 0.0 : (no_angle && z.re == inf_d ? inf_d : c), is_zero ? 0.0 : s};
}
/** exp(z) - 1 without cancellation. */
MLX_FN Complex2 expm12c(Complex2 z) {
  Complex2 e = exp2c(z);
  double h = MLX_F64(sin)(0.5 * z.im);
  double near = MLX_F64(expm1)(z.re) * MLX_F64(cos)(z.im) - 2.0 * h * h;
  bool plain = !is_finite(z.re) || !is_finite(z.im);
  return {z.im == 0.0 ? MLX_F64(expm1)(z.re) : (plain ? e.re - 1.0 : near), e.im};
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
MLX_FN Complex expm1(Complex z) { return narrow(expm12c(widen(z))); }
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
  double s = MLX_F64(sinh)(z.re), c = MLX_F64(cosh)(z.re);
  // Without an angle, zeros and infinities stay what they are.
  bool stays = !is_finite(z.im) && (z.re == 0.0 || is_inf(z.re));
  double re = z.im == 0.0 || stays ? s : s * MLX_F64(cos)(z.im);
  return {re, z.im == 0.0 ? z.im : c * MLX_F64(sin)(z.im)};
}
MLX_FN Complex2 cosh2c(Complex2 z) {
  double s = MLX_F64(sinh)(z.re), c = MLX_F64(cosh)(z.re);
  bool no_angle = !is_finite(z.im);
  double re = z.im == 0.0 || (no_angle && is_inf(z.re)) ? c : c * MLX_F64(cos)(z.im);
  double im = no_angle && z.re == 0.0 ? s : s * MLX_F64(sin)(z.im);
  return {re, z.im == 0.0 ? z.im * copysign(1.0, z.re) : im};
}
/** (sinh 2x + i sin 2y) / (cosh 2x + cos 2y), which is 1 in modulus for large |x|. */
MLX_FN Complex2 tanh2c(Complex2 z) {
  double x = z.re > 50.0 ? 50.0 : (z.re < -50.0 ? -50.0 : z.re);
  double s = MLX_F64(sinh)(x), c = MLX_F64(cos)(z.im);
  double n = s * s + c * c;
  double im = MLX_F64(sin)(z.im) * c / n;
  bool is_one = is_inf(z.re), no_angle = !is_finite(z.im);
  double re = z.re == 0.0 ? z.re : s * MLX_F64(cosh)(x) / n;
  double zero = no_angle ? 0.0 : copysign(0.0, im);
  return {is_one ? copysign(1.0, z.re) : re, is_one ? zero : (z.im == 0.0 ? z.im : im)};
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
/** sqrt(a^2 - x^2): the leg beside x of the angle arcsin(x / a), also where that is close to 1. */
MLX_FN double arc_leg(double x, double y) {
  double r = modulus({x + 1.0, y}), s = modulus({x - 1.0, y});
  double a = 0.5 * (r + s);
  double w = x <= 1.0 ? 0.5 * (a + x) * (y * y / (r + x + 1.0) + (s + (1.0 - x)))
                      : 0.5 * (a + x) * y * y * (1.0 / (r + x + 1.0) + 1.0 / (s + (x - 1.0)));
  return sqrt(w);
}
/** The angle whose sine (or cosine) is the real part, and the imaginary part, for x, y >= 0. */
struct Arc {
  double sine, cosine, width;
};
MLX_FN Arc arc(double x, double y) {
  ArcParts p = arc_parts(x, y);
  double leg = arc_leg(x, y), quarter = 1.5707963267948966;
  double near = MLX_F64(asin)(p.beta);
  bool is_near = p.beta <= 0.64, infinite = is_inf(x) || is_inf(y);
  double sine = is_near ? near : MLX_F64(atan2)(x, leg);
  double cosine = is_near ? quarter - near : MLX_F64(atan2)(leg, x);
  sine = infinite ? MLX_F64(atan2)(x, y) : sine;
  cosine = infinite ? MLX_F64(atan2)(y, x) : cosine;
  return {x == 0.0 ? 0.0 : sine, x == 0.0 ? quarter : cosine, infinite ? inf_d : p.width};
}
MLX_FN Complex2 arcsin2c(Complex2 z) {
  Arc a = arc(fabs(z.re), fabs(z.im));
  return {copysign(a.sine, z.re), copysign(a.width, z.im)};
}
MLX_FN Complex2 arccos2c(Complex2 z) {
  Arc a = arc(fabs(z.re), fabs(z.im));
  return {z.re < 0.0 ? 3.141592653589793 - a.cosine : a.cosine, copysign(a.width, -z.im)};
}
MLX_FN Complex arcsin(Complex z) { return narrow(arcsin2c(widen(z))); }
MLX_FN Complex arccos(Complex z) { return narrow(arccos2c(widen(z))); }
MLX_FN Complex arcsinh(Complex z) { return narrow(over_i(arcsin2c(times_i(widen(z))))); }
/** i arccos(z) or its negative, whichever has the non-negative real part. */
MLX_FN Complex arccosh(Complex z) {
  Complex2 c = arccos2c(widen(z));
  return narrow({fabs(c.im), copysign(c.re, static_cast<double>(z.im))});
}
MLX_FN Complex2 arctanh2c(Complex2 z) {
  double x = fabs(z.re), y = z.im;
  double d = (1.0 - x) * (1.0 - x) + y * y;
  double re = 0.25 * MLX_F64(log1p)(4.0 * x / d);
  double im = 0.5 * MLX_F64(atan2)(2.0 * y, (1.0 - x) * (1.0 + x) - y * y);
  bool infinite = is_inf(x) || is_inf(y);
  double quarter = is_nan(y) ? y : copysign(1.5707963267948966, y);
  return {copysign(infinite || x == 0.0 ? 0.0 : re, z.re), infinite ? quarter : im};
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
/** The same angle in (-pi, pi]. */
MLX_FN double principal(double angle) {
  double turned = MLX_F64(atan2)(MLX_F64(sin)(angle), MLX_F64(cos)(angle));
  return fabs(angle) <= 3.141592653589793 ? angle : turned;
}
/** log(exp(a) + exp(b)), the term of larger real part taken out; the angle in (-pi, pi]. */
MLX_FN Complex logaddexp(Complex a, Complex b) {
  Complex2 high = a.re > b.re ? widen(a) : widen(b);
  Complex2 low = a.re > b.re ? widen(b) : widen(a);
  Complex2 e = exp2c({low.re - high.re, low.im - high.im});
  Complex2 l = log2c({1.0 + e.re, e.im});
  bool absorbed = is_inf(high.re);
  double angle = principal(absorbed ? high.im : high.im + l.im);
  return narrow({absorbed ? high.re : high.re + l.re, angle});
}

}  // namespace math
}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
