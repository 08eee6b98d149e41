// Real and complex numbers as the kernels of decompositions compute with them, and how the lanes of
// a warp share a column.
#pragma once

#include "mlx/backend/cuda/kernels/values.h"

namespace mlx::core::kernels {

template <typename T>
MLX_FN bool is_zero(T x) {
  if constexpr (is_complex<T>) {
    return x.re == 0 && x.im == 0;
  } else {
    return x == 0;
  }
}

/** The size by which pivots are chosen; that of NaN is zero. */
template <typename T>
MLX_FN RealOf<T> pivot_size(T x) {
  RealOf<T> size;
  if constexpr (is_complex<T>) {
    size = fabs(x.re) + fabs(x.im);
  } else {
    size = fabs(x);
  }
  return size >= 0 ? size : RealOf<T>(0);
}

template <typename T>
MLX_FN T conjugate(T x) {
  if constexpr (is_complex<T>) {
    return {x.re, -x.im};
  } else {
    return x;
  }
}

template <typename T>
MLX_FN RealOf<T> real_part(T x) {
  if constexpr (is_complex<T>) {
    return x.re;
  } else {
    return x;
  }
}

template <typename T>
MLX_FN RealOf<T> imaginary_part(T x) {
  if constexpr (is_complex<T>) {
    return x.im;
  } else {
    return 0;
  }
}

template <typename T>
MLX_FN T number(RealOf<T> re, RealOf<T> im = 0) {
  if constexpr (is_complex<T>) {
    return {re, im};
  } else {
    return re;
  }
}

/** x / by */
template <typename T>
MLX_FN T scaled_down(T x, RealOf<T> by) {
  if constexpr (is_complex<T>) {
    return {x.re / by, x.im / by};
  } else {
    return x / by;
  }
}

/** The largest power of two that is not above x > 0: dividing by it rounds nothing. */
template <typename Real>
MLX_FN Real power_of_two_below(Real x) {
  return exp2(floor(log2(x)));
}

/** |x / unit|^2 */
template <typename T>
MLX_FN RealOf<T> square_size(T x, RealOf<T> unit) {
  x = scaled_down(x, unit);
  RealOf<T> re = real_part(x), im = imaginary_part(x);
  return re * re + im * im;
}

template <typename T>
MLX_FN T product(T a, T b) {
  if constexpr (is_complex<T>) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  } else {
    return a * b;
  }
}

template <typename T>
MLX_FN T quotient(T a, T b) {
  if constexpr (is_complex<T>) {
    double re = b.re, im = b.im, square = re * re + im * im;  // of floats, within the range
    return {static_cast<float>((a.re * re + a.im * im) / square),
            static_cast<float>((a.im * re - a.re * im) / square)};
  } else {
    return a / b;
  }
}

template <typename T>
MLX_FN T total(T a, T b) {
  if constexpr (is_complex<T>) {
    return {a.re + b.re, a.im + b.im};
  } else {
    return a + b;
  }
}

/** a - b c */
template <typename T>
MLX_FN T less_product(T a, T b, T c) {
  if constexpr (is_complex<T>) {
    return {madd(b.im, c.im, madd(-b.re, c.re, a.re)), madd(-b.im, c.re, madd(-b.re, c.im, a.im))};
  } else {
    return madd(-b, c, a);
  }
}

template <typename T>
MLX_FN T from_lane(T x, int lane) {
  if constexpr (is_complex<T>) {
    return {__shfl_sync(~0u, x.re, lane), __shfl_sync(~0u, x.im, lane)};
  } else {
    return __shfl_sync(~0u, x, lane);
  }
}

/** The sum over the lanes of a warp, for all of them. */
template <typename T>
MLX_FN T sum_of_lanes(T x) {
  for (int step = 1; step < 32; step *= 2) {
    if constexpr (is_complex<T>) {
      x = total(x, T{__shfl_xor_sync(~0u, x.re, step), __shfl_xor_sync(~0u, x.im, step)});
    } else {
      x += __shfl_xor_sync(~0u, x, step);
    }
  }
  return x;
}

/** Element r of a column of which a lane has rows lane, lane + 32 and so on, for all lanes. */
template <typename T, int down>
MLX_FN T value_of_row(const T (&column)[down], int r) {
  T kept = column[0];
#pragma unroll
  for (int i = 1; i < down; i++) {
    if (r / 32 == i) kept = column[i];
  }
  return from_lane(kept, r % 32);
}

}  // namespace mlx::core::kernels
