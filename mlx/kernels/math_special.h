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

/** Inverse error function, at most 1 ULP; infinite at -1 and 1, NaN outside. Polynomials in
 *  w = -log(1 - x^2) and in sqrt(w) (the form of M. Giles), evaluated in double. */
MLX_FN float erfinv(float x) {
  double d = x;
  double inside = (1.0 - d) * (1.0 + d);
  double w = -log_core(inside);
  double central = polynomial(
      w, 0.88622692539813952, 0.23201367024532019, 0.011549299438956629, -0.00233490579592786,
      -0.00012851973714040642, 4.7313270917026537e-05, 1.3458075851527609e-06,
      -5.7285457350203835e-07, -2.3506233780258301e-07, 8.3506536840041186e-08,
      -1.129706500238048e-08, 7.5913584368577816e-10, -2.1203565131819003e-11);
  double tail = polynomial(sqrt(w < 5.0 ? 5.0 : w), -4.2824569642206907, 17.200681741488747,
                           -24.957338124289723, 21.300738820187359, -11.482312461484714,
                           4.1428231385608161, -1.0210546579672584, 0.170538333566393,
                           -0.018528967489780401, 0.0011849739963004766, -3.3921101043504567e-05);
  float r = static_cast<float>(d * (w < 5.0 ? central : tail));
  r = fabs(x) == 1.0f ? copysign(inf_f, x) : r;
  return fabs(x) <= 1.0f ? r : nan_f;
}

/** double erf: the C library. */
MLX_FN double erf(double x) { return MLX_F64(erf)(x); }

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
