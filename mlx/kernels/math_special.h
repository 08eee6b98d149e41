// erf and its inverse.
#pragma once

#include "mlx/kernels/math_exp.h"
#include "mlx/kernels/math_log.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {
namespace math {

/** Error function, at most 2 ULP: x + x Q(x^2) below 0.92, above 1 - exp(-x P(x)), where
 *  x P(x) approximates -log(erfc(x)) on [0.92, 4]; polynomials fitted at Chebyshev nodes. */
MLX_FN float erf(float x) {
  float a = fabs(x);
  float z = a * a;
  float small = madd(a,
                     polynomial(z, 0.128379226f, -0.376126349f, 0.112836912f, -0.0268591512f,
                                0.00520036882f, -0.000813470921f, 8.33471859e-05f),
                     a);
  float b = a > 4.0f ? 4.0f : a;
  float p = polynomial(b, 1.12873423f, 0.634838641f, 0.106669024f, -0.024020303f, 0.00366869732f,
                       -0.000276244828f, -1.27936819e-05f, 4.49995514e-06f, -2.77485299e-07f);
  float large = 1.0f - exp_bounded(-b * p);
  return copysign(a < 0.92f ? small : large, x);
}

/** -log2(1 - x^2) - 2 for |x| < 1, to 2^-24 absolutely: m in [sqrt(1/2), sqrt(2)) is split off. */
MLX_FN float erfinv_argument(float x) {
  float a = fabs(x);
  uint32_t bits = to_bits((1.0f - a) * (1.0f + a));
  uint32_t exponent = (bits - 0x3f3504f3u) & 0xff800000u;  // in its place, two's complement
  float e = static_cast<float>(static_cast<int32_t>(exponent));
  float f = float_of(bits - exponent) - 1.0f;
  return madd(-f, log2_quotient(f), madd(e, -0x1p-23f, -2.0f));
}

/** erfinv(x)/x - 1 as a polynomial in that argument t, for |x| < erfinv_limit and beyond it. The
 *  centers of the two are where rounding errors in t weigh least. */
inline constexpr float erfinv_limit = 0.9955f;
MLX_FN float erfinv_central(float t) {
  return polynomial(t, 0.223610699f, 0.173342377f, 0.000772042666f, -0.000722637225f,
                    3.77220931e-05f, 4.29849479e-06f, -5.85698785e-07f, -1.11039524e-08f,
                    6.22056939e-09f, -3.49305973e-10f);
}
MLX_FN float erfinv_tail(float t) {
  return polynomial(t - 9.375f, 1.64101028f, 0.123057485f, -0.00247010007f, 8.31354046e-05f,
                    -1.98481666e-06f, -9.72143894e-08f, 2.0062263e-08f, -1.77667214e-09f,
                    9.83759046e-11f, -3.18692642e-12f, 4.54969992e-14f);
}

/** Inverse error function, at most 2.01 ULP (1.6 with fused products): x + x P(-log2(1 - x^2)),
 * after the variable of M. Giles; polynomials fitted by weighted least squares. */
MLX_FN float erfinv_bounded(float x) {
  float r = madd(x, erfinv_central(erfinv_argument(x)), x);
  return copysign(r, x);  // x and what is added have opposite signs, also for -0
}

/** The same for any x: infinite at -1 and 1, NaN outside. */
MLX_FN float erfinv_any(float x) {
  float a = fabs(x);
  float t = erfinv_argument(x);
  float r = madd(x, a < erfinv_limit ? erfinv_central(t) : erfinv_tail(t), x);
  r = a == 1.0f ? inf_f : r;
  return a <= 1.0f ? copysign(r, x) : nan_f;
}

/** erf of a double, at most 2 ULP: x + x P(x^2) up to 1, above 1 - exp(-x^2) Q((x - c) / (x + c)),
 *  c = 5/2; both fitted at Chebyshev nodes. */
MLX_FN double erf(double x) {
  double a = fabs(x);
  double z = a * a;
  double small =
      madd(a,
           polynomial(z, 0.12837916709551257, -0.37612638903183748, 0.11283791670954879,
                      -0.026866170645076793, 0.0052239776248180145, -0.00085483269808337899,
                      0.00012055331111642711, -1.4925595266831182e-5, 1.6461000484121368e-6,
                      -1.6350312701054695e-7, 1.4659775274047436e-8, -1.1372848856791674e-9,
                      5.9571761477489114e-11),
           a);
  double b = a > 6.0 ? 6.0 : a;
  double tail = polynomial((b - 2.5) / (b + 2.5), 0.21080636406114358, -0.37173673394897296,
                           0.25171319321744877, -0.12503305237891781, 0.039922539075465232,
                           -0.0039937011601230292, -0.0026423659518134549, 0.00087591528757743275,
                           0.0002283799633257643, -0.00012887483134837842, -3.4175718896856293e-5,
                           1.8596747731144529e-5, 7.4997350507632987e-6, -2.2328516517555214e-6,
                           -1.587633893127344e-6);
  double large = 1.0 - exp_core(-b * b) * tail;
  return copysign(a < 1.0 ? small : large, x);
}

/** double inverse error function, below 4 ULP: an initial estimate by Giles' form, then three
 *  steps of Halley's method on erfc, which keeps its relative accuracy in the tail. */
MLX_FN double erfinv(double x) {
  double a = fabs(x);
  double w = -MLX_F64(log)((1.0 - a) * (1.0 + a));
  double y = w < 5.0 ? a * (0.8862269 + w * (0.2320137 + w * (0.0115493 - w * 0.0023349)))
                     : sqrt(w) - 0.35;
  for (int step = 0; step < 4; ++step) {
    double wrong = a < 0.5 ? MLX_F64(erf)(y) - a : (1.0 - a) - MLX_F64(erfc)(y);
    double u = wrong * 0.88622692545275801365 * MLX_F64(exp)(y * y);
    y -= u / (1.0 + y * u);
  }
  y = a == 1.0 ? inf_d : y;
  y = a == 0.0 ? 0.0 : y;
  return a <= 1.0 ? copysign(y, x) : nan_d;
}

}  // namespace math
}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
