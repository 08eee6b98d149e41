// The bodies of the element-wise table: one struct per row, of the row's name, whose `apply` takes
// compute types (bool, integers, float, double, Complex) and returns the row's result type. Half
// types widen before and round after. Bodies are free of branches, so that loops over them
// vectorise, and defined for every input. Arithmetic and logic have files of their own.
#pragma once

#include "mlx/kernels/convert.h"
#include "mlx/kernels/elementwise_arithmetic.h"
#include "mlx/kernels/elementwise_logic.h"
#include "mlx/kernels/math_complex_wide.h"
#include "mlx/kernels/math_exp.h"
#include "mlx/kernels/math_log.h"
#include "mlx/kernels/math_special.h"
#include "mlx/kernels/math_trig.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {
namespace op {

// ---- functions, see math_*.h for bounds and methods

#define MLX_MATH_BODY(Name, function) \
  struct Name {                       \
    template <typename T>             \
    MLX_FN static T apply(T a) {      \
      return math::function(a);       \
    }                                 \
  };
MLX_MATH_BODY(Exp, exp)
MLX_MATH_BODY(Expm1, expm1)
MLX_MATH_BODY(Log, log)
MLX_MATH_BODY(Log2, log2)
MLX_MATH_BODY(Log10, log10)
MLX_MATH_BODY(Log1p, log1p)
MLX_MATH_BODY(ArcSin, arcsin)
MLX_MATH_BODY(ArcCos, arccos)
MLX_MATH_BODY(ArcTan, arctan)
MLX_MATH_BODY(Sinh, sinh)
MLX_MATH_BODY(Cosh, cosh)
MLX_MATH_BODY(Tanh, tanh)
MLX_MATH_BODY(ArcSinh, arcsinh)
MLX_MATH_BODY(ArcCosh, arccosh)
MLX_MATH_BODY(ArcTanh, arctanh)
MLX_MATH_BODY(Erf, erf)
MLX_MATH_BODY(Sigmoid, sigmoid)
#undef MLX_MATH_BODY

// Functions whose float body holds only up to a limit; Slow<Op> below has the rest.
#define MLX_TRIG_BODY(Name, function)                                            \
  struct Name {                                                                  \
    MLX_FN static float apply(float a) { return math::function##_bounded(a); }   \
    MLX_FN static double apply(double a) { return math::function(a); }           \
    MLX_FN static Complex apply(Complex a) { return math::function(a); }         \
    MLX_FN static WideComplex apply(WideComplex a) { return math::function(a); } \
  };
MLX_TRIG_BODY(Sin, sin)
MLX_TRIG_BODY(Cos, cos)
MLX_TRIG_BODY(Tan, tan)
#undef MLX_TRIG_BODY

struct ErfInv {
  MLX_FN static float apply(float a) { return math::erfinv_bounded(a); }
  MLX_FN static double apply(double a) { return math::erfinv(a); }
};

struct LogAddExp {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    return math::logaddexp(a, b);
  }
};
struct ArcTan2 {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    return math::arctan2(a, b);
  }
};

template <typename T>
MLX_FN T scale(T a, double factor) {
  if constexpr (is_complex<T>) {
    using Part = RealOf<T>;
    return {static_cast<Part>(a.re * factor), static_cast<Part>(a.im * factor)};
  } else {
    return static_cast<T>(a * factor);
  }
}
struct Degrees {
  template <typename T>
  MLX_FN static T apply(T a) {
    return scale(a, 57.29577951308232087680);
  }
};
struct Radians {
  template <typename T>
  MLX_FN static T apply(T a) {
    return scale(a, 0.01745329251994329577);
  }
};

// ---- rounding: integers are whole already

#define MLX_ROUND_BODY(Name, function)           \
  struct Name {                                  \
    template <typename T>                        \
    MLX_FN static T apply(T a) {                 \
      if constexpr (is_complex<T>) {             \
        return {function(a.re), function(a.im)}; \
      } else if constexpr (is_float<T>) {        \
        return function(a);                      \
      } else {                                   \
        return a;                                \
      }                                          \
    }                                            \
  };
MLX_ROUND_BODY(Floor, floor)
MLX_ROUND_BODY(Ceil, ceil)
MLX_ROUND_BODY(Trunc, trunc)
MLX_ROUND_BODY(Round, rint)
#undef MLX_ROUND_BODY

// ---- complex parts

struct Conjugate {
  template <typename T>
  MLX_FN static T apply(T a) {
    if constexpr (is_complex<T>) {
      return {a.re, -a.im};
    } else {
      return a;
    }
  }
};
struct RealPart {
  template <typename T>
  MLX_FN static auto apply(T a) {
    if constexpr (is_complex<T>) {
      return a.re;
    } else {
      return a;
    }
  }
};
struct ImagPart {
  template <typename T>
  MLX_FN static auto apply(T a) {
    if constexpr (is_complex<T>) {
      return a.im;
    } else {
      return T(0);
    }
  }
};

struct ToFP8 {
  MLX_FN static uint8_t apply(float a) { return to_fp8(a); }
};
struct FromFP8 {
  MLX_FN static float apply(uint8_t a) { return from_fp8(a); }
};

struct Cast {
  template <typename To, typename From>
  MLX_FN static To apply(From a) {
    return convert<To>(a);
  }
};

struct Select {
  template <typename T>
  MLX_FN static T apply(bool c, T a, T b) {
    return c ? a : b;
  }
};

// ---- float inputs that a body leaves to a slower, complete form. Kernels test a block of inputs
// with `needed` and, if any asks, run the block with `apply`.

template <typename Op>
struct Slow {
  static constexpr bool exists = false;
};
#define MLX_TRIG_SLOW(Name, function)                                           \
  template <>                                                                   \
  struct Slow<Name> {                                                           \
    static constexpr bool exists = true;                                        \
    MLX_FN static bool needed(float a) { return fabs(a) > math::trig_limit; }   \
    MLX_FN static float apply(float a) {                                        \
      return needed(a) ? math::function##_any(a) : math::function##_bounded(a); \
    }                                                                           \
  };
MLX_TRIG_SLOW(Sin, sin)
MLX_TRIG_SLOW(Cos, cos)
MLX_TRIG_SLOW(Tan, tan)
#undef MLX_TRIG_SLOW

template <>
struct Slow<ErfInv> {
  static constexpr bool exists = true;
  MLX_FN static bool needed(float a) { return !(fabs(a) < math::erfinv_limit); }
  MLX_FN static float apply(float a) { return math::erfinv_any(a); }
};

template <>
struct Slow<Remainder> {
  static constexpr bool exists = true;
  MLX_FN static bool needed(float a, float b) { return fabs(a) > 536870912.0f * fabs(b); }
  MLX_FN static float apply(float a, float b) {
    double r = MLX_F64(fmod)(a, b);
    return is_nan(r) ? nan_f : Remainder::with_sign_of_divisor(r, b);
  }
};

}  // namespace op
}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
