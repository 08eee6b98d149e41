// Bodies of arithmetic: sums, products, quotients, powers, extrema, signs and roots. See
// elementwise.h for what a body is.
#pragma once

#include "mlx/kernels/base.h"
#include "mlx/kernels/convert.h"
#include "mlx/kernels/math_complex_wide.h"
#include "mlx/kernels/math_log.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {
namespace op {

// Integers wrap; bool counts as the integers 0 and 1, converted back by "not 0".

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

/** Complex numbers through double, where products of floats are exact: g++ fuses multiplications
 * and additions of vectors of complex numbers, whatever -ffp-contract says, and not those of the
 * last few elements, so that the bits would follow from where a number lies. */
struct Multiply {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    if constexpr (is_same<T, Complex>) {
      return math::narrow(math::mul(math::widen(a), math::widen(b)));
    } else if constexpr (is_complex<T>) {
      return math::multiply(a, b);
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

/** The remainder of floored division, zeros included: the sign of the divisor. Integers: a itself
 * for b = 0. */
struct Remainder {
  template <typename T>
  MLX_FN static T apply(T a, T b) {
    if constexpr (is_same<T, float>) {
      // Exact in double while the quotient is below 2^29, see Slow<Remainder>.
      double x = a, y = b;
      double r = x - trunc(x / y) * y;
      r = is_inf(b) && is_finite(a) ? x : r;
      return with_sign_of_divisor(r, y);
    } else if constexpr (is_same<T, double>) {
      double r = MLX_F64(fmod)(a, b);
      return r == 0.0 ? copysign(0.0, b) : (r < 0.0) != (b < 0.0) ? r + b : r;
    } else {
      T q = FloorDivide::apply(a, b);
      return from_wrapping<T>(static_cast<wrapping<T>>(a) -
                              static_cast<wrapping<T>>(q) * static_cast<wrapping<T>>(b));
    }
  }
  MLX_FN static float with_sign_of_divisor(double r, double y) {
    double moved = (r < 0.0) != (y < 0.0) ? r + y : r;
    return static_cast<float>(r == 0.0 ? copysign(0.0, y) : moved);
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

template <typename T>
MLX_FN bool less(T a, T b) {
  if constexpr (is_complex<T>) {
    return a.re < b.re || (a.re == b.re && a.im < b.im);
  } else {
    return a < b;
  }
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

MLX_FN float modulus(Complex a) { return static_cast<float>(math::modulus(math::widen(a))); }
MLX_FN double modulus(WideComplex a) { return math::wide::modulus(a); }

struct Abs {
  template <typename T>
  MLX_FN static auto apply(T a) {
    if constexpr (is_complex<T>) {
      return modulus(a);
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
    if constexpr (is_same<T, WideComplex>) {
      int by = 0;  // where the modulus, or its quotients, could leave the range
      double high = math::wide::largest_part(a);
      if (high > 1e300) by = -2;
      if (high < 1e-290) by = 128;
      T z = math::wide::scaled(a, by);
      double m = modulus(z);
      return m == 0.0 ? T{0.0, 0.0} : T{z.re / m, z.im / m};
    } else if constexpr (is_complex<T>) {
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
  MLX_FN static WideComplex apply(WideComplex a) { return math::sqrt(a); }
};
/** Two roundings: at most 1.5 ULP. */
struct Rsqrt {
  MLX_FN static float apply(float a) { return 1.0f / sqrt(a); }
  MLX_FN static double apply(double a) { return 1.0 / sqrt(a); }
  MLX_FN static Complex apply(Complex a) { return math::rsqrt(a); }
  MLX_FN static WideComplex apply(WideComplex a) { return math::rsqrt(a); }
};
struct Reciprocal {
  MLX_FN static float apply(float a) { return 1.0f / a; }
  MLX_FN static double apply(double a) { return 1.0 / a; }
  MLX_FN static Complex apply(Complex a) { return math::reciprocal(a); }
  MLX_FN static WideComplex apply(WideComplex a) { return math::reciprocal(a); }
};

}  // namespace op
}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
