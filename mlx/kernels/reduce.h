// The associative operations of reductions, one struct each, on plain values and on packs of them.
// `Value` is what arrays hold, `Total` what partial results are merged in: wide enough that the
// error of a float sum does not grow with the number of its blocks.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {

MLX_FN Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
MLX_FN Complex operator*(Complex a, Complex b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
MLX_FN WideComplex operator+(WideComplex a, WideComplex b) { return {a.re + b.re, a.im + b.im}; }
MLX_FN WideComplex operator*(WideComplex a, WideComplex b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

// Order of complex numbers: by real part, then imaginary part; NaN in either part is unordered.
template <typename T, bool = is_complex<T>>
struct IfComplex {};
template <typename T>
struct IfComplex<T, true> {
  using Answer = bool;
};
template <typename C>
MLX_FN typename IfComplex<C>::Answer operator>(C a, C b) {
  return a.re > b.re || (a.re == b.re && a.im > b.im);
}
template <typename C>
MLX_FN typename IfComplex<C>::Answer operator<(C a, C b) {
  return b > a;
}
template <typename C>
MLX_FN typename IfComplex<C>::Answer operator!=(C a, C b) {
  return a.re != b.re || a.im != b.im;
}
template <typename C>
MLX_FN typename IfComplex<C>::Answer operator==(C a, C b) {
  return !(a != b);
}
template <typename C>
MLX_FN typename IfComplex<C>::Answer operator>=(C a, C b) {
  return a > b || a == b;
}
template <typename C>
MLX_FN typename IfComplex<C>::Answer operator<=(C a, C b) {
  return b >= a;
}

template <typename T>
struct WideOf {
  using type = T;
};
template <>
struct WideOf<float> {
  using type = double;
};
template <>
struct WideOf<Complex> {
  using type = WideComplex;
};
template <typename T>
using Wide = typename WideOf<T>::type;

template <typename To, typename From>
MLX_FN To widen(From x) {
  if constexpr (is_same<To, WideComplex> && is_same<From, Complex>) {
    return {x.re, x.im};
  } else {
    return static_cast<To>(x);
  }
}

struct SumOp {
  template <typename T>
  using Total = Wide<T>;
  template <typename P>
  MLX_FN P apply(P a, P b) {
    return a + b;
  }
};

struct ProdOp {
  template <typename T>
  using Total = Wide<T>;
  template <typename P>
  MLX_FN P apply(P a, P b) {
    if constexpr (is_same<P, uint16_t>) {
      return static_cast<P>(wrapping<P>(a) * b);  // int would overflow
    } else {
      return a * b;
    }
  }
};

// Maximum and minimum pass NaN on, and the first of equal values.
struct MaxOp {
  template <typename T>
  using Total = T;
  template <typename P>
  MLX_FN P apply(P a, P b) {
    return (a >= b) | (a != a) ? a : b;
  }
};

struct MinOp {
  template <typename T>
  using Total = T;
  template <typename P>
  MLX_FN P apply(P a, P b) {
    return (a <= b) | (a != a) ? a : b;
  }
};

/** Count, mean and sum of squared distances from the mean. */
struct Moments {
  double count, mean, squares;
};

/** Chan, Golub and LeVeque's update: the moments of two samples together. */
MLX_FN Moments merge(Moments a, Moments b) {
  double count = a.count + b.count;
  double part = count > 0 ? b.count / count : 0.0;
  double distance = b.mean - a.mean;
  return {count, a.mean + distance * part,
          a.squares + b.squares + distance * distance * a.count * part};
}

/** Sum of exponentials as sum * exp(shift); the shift is always finite. */
struct ExpSum {
  double shift, sum;
};

/** A value and its position; position -1 before the first value. */
template <typename T>
struct Found {
  T value;
  int64_t position;
};

/** Whether x takes the place of `best` for an extremum: strictly better, or the first NaN. */
template <typename Op, typename T>
MLX_FN bool replaces(T x, T best) {
  if constexpr (is_same<Op, MaxOp>) {
    return (x > best) | ((x != x) & (best == best));
  } else {
    return (x < best) | ((x != x) & (best == best));
  }
}

}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
