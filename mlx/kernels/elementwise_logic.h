// Bodies of comparisons, logic, classification and bits. See elementwise.h for what a body is.
#pragma once

#include "mlx/kernels/elementwise_arithmetic.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {
namespace op {

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
      return a.re == RealOf<T>(inf_d);
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
      return a.re == RealOf<T>(-inf_d);
    } else if constexpr (is_float<T>) {
      return a == T(-inf_d);
    } else {
      return false;
    }
  }
};

// A shift by the width or more, or by a negative count, gives what shifting bit by bit
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

}  // namespace op
}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
