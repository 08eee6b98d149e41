// The bodies of the element-wise table: one struct per row, of the row's name, whose `apply` takes
// compute types (bool, integers, float, double, Complex) and returns the row's result type. Half
// types widen before and round after. Bodies are free of branches, so that loops over them
// vectorise, and defined for every input.
#pragma once

#include "mlx/kernels/base.h"
#include "mlx/kernels/convert.h"
#include "mlx/kernels/math_complex.h"
#include "mlx/kernels/math_exp.h"
#include "mlx/kernels/math_log.h"
#include "mlx/kernels/math_special.h"
#include "mlx/kernels/math_trig.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {
namespace op {

// ---- arithmetic. Integers wrap; bool counts as the integers 0 and 1, converted back by "not 0".

template <typename T>
MLX_FN T from_wrapping(wrapping<T> x) {
  if constexpr (is_bool<T>) {
    return x != 0;
  } else {
    return static_cast<T>(x);
  }
}

struct Add {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    if constexpr (is_complex<T>) {
      return {a.re + b.re, a.im + b.im};
    } else if constexpr (is_float<T>) {
      return a + b;
    } else {
      return from_wrapping<T>(static_cast<wrapping<T>>(a) + static_cast<wrapping<T>>(b));
    }
  }
};

struct Subtract {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    if constexpr (is_complex<T>) {
      return {a.re - b.re, a.im - b.im};
    } else if constexpr (is_float<T>) {
      return a - b;
    } else {
      return from_wrapping<T>(static_cast<wrapping<T>>(a) - static_cast<wrapping<T>>(b));
    }
  }
};

struct Multiply {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    if constexpr (is_complex<T>) {
      return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    } else if constexpr (is_float<T>) {
      return a * b;
    } else {
      return from_wrapping<T>(static_cast<wrapping<T>>(a) * static_cast<wrapping<T>>(b));
    }
  }
};

struct Divide {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    if constexpr (is_complex<T>) {
      return math::divide(a, b);
    } else {
      return a / b;
    }
  }
};

/** Integers: the floored quotient, 0 for a zero divisor; the smallest integer over -1 wraps.
 *  Floats: the floor of the rounded quotient. Complex: the quotient. */
struct FloorDivide {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    if constexpr (is_complex<T>) {
      return math::divide(a, b);
    } else if constexpr (is_float<T>) {
      return floor(a / b);
    } else if constexpr (is_bool<T>) {
      return a && b;
    } else if constexpr (sizeof(T) <= 4) {
      // The quotient of 32-bit integers rounds in double without crossing a whole number.
      double q = floor(static_cast<double>(a) / static_cast<double>(b == 0 ? T(1) : b));
      T wrapped = from_wrapping<T>(wrapping<T>(0) - static_cast<wrapping<T>>(a));
      bool minus_one = is_signed<T> && b == static_cast<T>(-1);
      T r = minus_one ? wrapped : convert<T>(minus_one ? 0.0 : q);
      return b == 0 ? T(0) : r;
    } else {
      if (b == 0) return 0;
      if constexpr (is_signed<T>) {
        if (b == -1) return from_wrapping<T>(wrapping<T>(0) - static_cast<wrapping<T>>(a));
      }
      T q = a / b;
      return (a % b != 0) && ((a < 0) != (b < 0)) ? q - 1 : q;
    }
  }
};

/** The remainder of floored division: the sign of the divisor. Integers: a itself for b = 0. */
struct Remainder {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    if constexpr (is_same<T, float>) {
      // Exact in double while the quotient is below 2^29, see Slow<Remainder>.
      double x = a, y = b;
      double r = x - trunc(x / y) * y;
      r = is_inf(b) && is_finite(a) ? x : r;
      return copy_sign_of_divisor(r, y, a);
    } else if constexpr (is_same<T, double>) {
      double r = MLX_F64(fmod)(a, b);
      return r != 0.0 && (r < 0.0) != (b < 0.0) ? r + b : r;
    } else {
      T q = FloorDivide::apply(a, b);
      return from_wrapping<T>(static_cast<wrapping<T>>(a) -
                              static_cast<wrapping<T>>(q) * static_cast<wrapping<T>>(b));
    }
  }
  /** A zero remainder keeps the dividend's sign, as C's fmod. */
  MLX_FN static float copy_sign_of_divisor(double r, double y, float a) {
    double moved = r != 0.0 && (r < 0.0) != (y < 0.0) ? r + y : r;
    float f = static_cast<float>(moved);
    return r == 0.0 ? copysign(0.0f, a) : f;
  }
};

/** Integers: by squaring, wrapping; 0 for a negative exponent unless the base is 1 or -1. */
struct Power {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    if constexpr (is_complex<T>) {
      return math::power(a, b);
    } else if constexpr (is_float<T>) {
      return is_simple(b) ? apply_simple(a, b) : math::power(a, b);
    } else if constexpr (is_bool<T>) {
      return a || !b;
    } else {
      wrapping<T> base = static_cast<wrapping<T>>(a), result = 1;
      wrapping<T> exponent = static_cast<wrapping<T>>(b);
      bool negative = is_signed<T> && b < T(0);
      if (negative) {
        bool unit = a == T(1) || a == static_cast<T>(-1);
        base = unit ? base : 0;
        exponent = unit ? (exponent & 1u) : 1u;
      }
      while (exponent != 0) {
        result = (exponent & 1u) != 0 ? result * base : result;
        base *= base;
        exponent >>= 1;
      }
      return static_cast<T>(result);
    }
  }

  // Exponents 1, 2 and 3 are frequent and need products only. Kernels take a shorter loop where a
  // block has no others, with the same result.
  template <typename T>
  MLX_FN static bool is_simple(T b) {
    return (b == T(1)) | (b == T(2)) | (b == T(3));
  }
  template <typename T>
  MLX_FN static T apply_simple(T a, T b) {
    if constexpr (is_float<T>) {
      double x = a;  // a float's products are exact here until the last
      return static_cast<T>((b == T(1) ? 1.0 : (b == T(2) ? x : x * x)) * x);
    } else {
      auto x = static_cast<wrapping<T>>(a);
      return static_cast<T>((b == T(1) ? 1 : (b == T(2) ? x : x * x)) * x);
    }
  }
};

MLX_FN bool less(Complex a, Complex b) {
  return a.re < b.re || (a.re == b.re && a.im < b.im);
}
template <typename T>
MLX_FN bool less(T a, T b) {
  return a < b;
}
template <typename T>
MLX_FN bool has_nan(T x) {
  if constexpr (is_complex<T>) {
    return is_nan(x.re) || is_nan(x.im);
  } else if constexpr (is_float<T>) {
    return is_nan(x);
  } else {
    return false;
  }
}

/** NaN if either is; of equal ones the second. Complex numbers compare real part first. */
struct Maximum {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    return less(b, a) || has_nan(a) ? a : b;
  }
};
struct Minimum {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    return less(a, b) || has_nan(a) ? a : b;
  }
};

struct Abs {
  template <typename T>
  MLX_FN static auto apply(T a) {
    if constexpr (is_complex<T>) {
      return static_cast<float>(math::modulus(math::widen(a)));
    } else if constexpr (is_float<T>) {
      return fabs(a);
    } else if constexpr (is_signed<T>) {
      return a < T(0) ? from_wrapping<T>(wrapping<T>(0) - static_cast<wrapping<T>>(a)) : a;
    } else {
      return a;
    }
  }
};

struct Negative {
  template <typename T>
  MLX_FN static T apply(T a) {
    if constexpr (is_complex<T>) {
      return {-a.re, -a.im};
    } else if constexpr (is_float<T>) {
      return -a;
    } else {
      return from_wrapping<T>(wrapping<T>(0) - static_cast<wrapping<T>>(a));
    }
  }
};

/** -1, 0 or 1; NaN for NaN; complex: z / |z|, 0 for 0. */
struct Sign {
  template <typename T>
  MLX_FN static T apply(T a) {
    if constexpr (is_complex<T>) {
      double m = math::modulus(math::widen(a));
      Complex r = {static_cast<float>(a.re / m), static_cast<float>(a.im / m)};
      return m == 0.0 ? Complex{0.0f, 0.0f} : r;
    } else if constexpr (is_float<T>) {
      T r = a > T(0) ? T(1) : (a < T(0) ? T(-1) : T(0));
      return is_nan(a) ? a : r;
    } else if constexpr (is_signed<T>) {
      return static_cast<T>((a > T(0)) - (a < T(0)));
    } else {
      return a != T(0);
    }
  }
};

struct Square {
  template <typename T>
  MLX_FN static T apply(T a) {
    return Multiply::apply(a, a);
  }
};

/** Correctly rounded; NaN below 0. */
struct Sqrt {
  MLX_FN static float apply(float a) { return sqrt(a); }
  MLX_FN static double apply(double a) { return sqrt(a); }
  MLX_FN static Complex apply(Complex a) { return math::sqrt(a); }
};
/** Two roundings: at most 1.5 ULP. */
struct Rsqrt {
  MLX_FN static float apply(float a) { return 1.0f / sqrt(a); }
  MLX_FN static double apply(double a) { return 1.0 / sqrt(a); }
  MLX_FN static Complex apply(Complex a) { return math::rsqrt(a); }
};
struct Reciprocal {
  MLX_FN static float apply(float a) { return 1.0f / a; }
  MLX_FN static double apply(double a) { return 1.0 / a; }
  MLX_FN static Complex apply(Complex a) { return math::reciprocal(a); }
};

// ---- functions, see math_*.h for bounds and methods

#define MLX_MATH_BODY(Name, function)   \
  struct Name {                         \
    template <typename T>               \
    MLX_FN static T apply(T a) {        \
      return math::function(a);         \
    }                                   \
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
MLX_MATH_BODY(ErfInv, erfinv)
MLX_MATH_BODY(Sigmoid, sigmoid)
#undef MLX_MATH_BODY

// Functions whose float body holds only up to a limit; Slow<Op> below has the rest.
#define MLX_TRIG_BODY(Name, function)                                             \
  struct Name {                                                                   \
    MLX_FN static float apply(float a) { return math::function##_bounded(a); }    \
    MLX_FN static double apply(double a) { return math::function(a); }            \
    MLX_FN static Complex apply(Complex a) { return math::function(a); }          \
  };
MLX_TRIG_BODY(Sin, sin)
MLX_TRIG_BODY(Cos, cos)
MLX_TRIG_BODY(Tan, tan)
#undef MLX_TRIG_BODY

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
    return {static_cast<float>(a.re * factor), static_cast<float>(a.im * factor)};
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

#define MLX_ROUND_BODY(Name, function)    \
  struct Name {                           \
    template <typename T>                 \
    MLX_FN static T apply(T a) {          \
      if constexpr (is_complex<T>) {      \
        return {function(a.re), function(a.im)}; \
      } else if constexpr (is_float<T>) { \
        return function(a);               \
      } else {                            \
        return a;                         \
      }                                   \
    }                                     \
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

// ---- predicates

struct Equal {
  template <typename T>
  MLX_FN static bool apply(T a, T b) {
    if constexpr (is_complex<T>) {
      return (a.re == b.re) & (a.im == b.im);
    } else {
      return a == b;
    }
  }
};
struct NotEqual {
  template <typename T>
  MLX_FN static bool apply(T a, T b) {
    return !Equal::apply(a, b);
  }
};
/** Equal, and NaN equals NaN. */
struct NaNEqual {
  template <typename T>
  MLX_FN static bool apply(T a, T b) {
    return Equal::apply(a, b) | (has_nan(a) & has_nan(b));
  }
};
struct Less {
  template <typename T>
  MLX_FN static bool apply(T a, T b) {
    return less(a, b);
  }
};
struct Greater {
  template <typename T>
  MLX_FN static bool apply(T a, T b) {
    return less(b, a);
  }
};
struct LessEqual {
  template <typename T>
  MLX_FN static bool apply(T a, T b) {
    return less(a, b) | Equal::apply(a, b);
  }
};
struct GreaterEqual {
  template <typename T>
  MLX_FN static bool apply(T a, T b) {
    return less(b, a) | Equal::apply(a, b);
  }
};

struct LogicalNot {
  template <typename T>
  MLX_FN static bool apply(T a) {
    return !convert<bool>(a);
  }
};
struct LogicalAnd {
  template <typename T>
  MLX_FN static bool apply(T a, T b) {
    return convert<bool>(a) & convert<bool>(b);
  }
};
struct LogicalOr {
  template <typename T>
  MLX_FN static bool apply(T a, T b) {
    return convert<bool>(a) | convert<bool>(b);
  }
};
struct LogicalXor {
  template <typename T>
  MLX_FN static bool apply(T a, T b) {
    return convert<bool>(a) ^ convert<bool>(b);
  }
};

// Classification: of a complex number NaN or infinite if either part is, finite if both are.
struct IsNan {
  template <typename T>
  MLX_FN static bool apply(T a) {
    return has_nan(a);
  }
};
struct IsInf {
  template <typename T>
  MLX_FN static bool apply(T a) {
    if constexpr (is_complex<T>) {
      return is_inf(a.re) | is_inf(a.im);
    } else if constexpr (is_float<T>) {
      return is_inf(a);
    } else {
      return false;
    }
  }
};
struct IsFinite {
  template <typename T>
  MLX_FN static bool apply(T a) {
    if constexpr (is_complex<T>) {
      return is_finite(a.re) & is_finite(a.im);
    } else if constexpr (is_float<T>) {
      return is_finite(a);
    } else {
      return true;
    }
  }
};
struct IsPosInf {
  template <typename T>
  MLX_FN static bool apply(T a) {
    if constexpr (is_complex<T>) {
      return a.re == inf_f;
    } else if constexpr (is_float<T>) {
      return a == T(inf_d);
    } else {
      return false;
    }
  }
};
struct IsNegInf {
  template <typename T>
  MLX_FN static bool apply(T a) {
    if constexpr (is_complex<T>) {
      return a.re == -inf_f;
    } else if constexpr (is_float<T>) {
      return a == T(-inf_d);
    } else {
      return false;
    }
  }
};

// ---- bits. A shift by the width or more, or by a negative count, gives what shifting bit by bit
// for ever would: 0, or the sign.

struct BitwiseInvert {
  template <typename T>
  MLX_FN static T apply(T a) {
    if constexpr (is_bool<T>) {
      return !a;
    } else {
      return static_cast<T>(~a);
    }
  }
};
struct BitwiseAnd {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    return static_cast<T>(a & b);
  }
};
struct BitwiseOr {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    return static_cast<T>(a | b);
  }
};
struct BitwiseXor {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    return static_cast<T>(a ^ b);
  }
};
struct LeftShift {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    using U = wrapping<T>;
    U count = static_cast<U>(b);
    constexpr U width = 8 * sizeof(T);
    U moved = static_cast<U>(a) << (count < width ? count : U(0));
    return count < width ? static_cast<T>(moved) : T(0);
  }
};
struct RightShift {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    using U = wrapping<T>;
    U count = static_cast<U>(b);
    constexpr U width = 8 * sizeof(T);
    T moved = static_cast<T>(a >> (count < width ? count : width - 1));
    return count < width || is_signed<T> ? moved : T(0);
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

// ---- float inputs that a body leaves to a slow, exact form. Kernels test a block of inputs with
// `needed` and, if any asks, run the block with `apply`.

template <typename Op>
struct Slow {
  static constexpr bool exists = false;
};
#define MLX_TRIG_SLOW(Name, function)                                                \
  template <>                                                                        \
  struct Slow<Name> {                                                                \
    static constexpr bool exists = true;                                             \
    MLX_FN static bool needed(float a) { return fabs(a) > math::trig_limit; }        \
    MLX_FN static float apply(float a) {                                             \
      return needed(a) ? math::function##_any(a) : math::function##_bounded(a);      \
    }                                                                                \
  };
MLX_TRIG_SLOW(Sin, sin)
MLX_TRIG_SLOW(Cos, cos)
MLX_TRIG_SLOW(Tan, tan)
#undef MLX_TRIG_SLOW

template <>
struct Slow<Remainder> {
  static constexpr bool exists = true;
  MLX_FN static bool needed(float a, float b) { return fabs(a) > 536870912.0f * fabs(b); }
  MLX_FN static float apply(float a, float b) {
    double r = MLX_F64(fmod)(a, b);
    return is_nan(r) ? nan_f : Remainder::copy_sign_of_divisor(r, b, a);
  }
};

}  // namespace op
}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
