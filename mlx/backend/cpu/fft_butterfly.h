// Discrete Fourier transforms of a few numbers each, for any vector type. Included by kernels.
#pragma once

#include "mlx/backend/cpu/gemm/complex_parts.h"

namespace mlx::core::cpu::MLX_ISA {
namespace {

template <typename V>
struct Complex {
  V re, im;
};

template <typename V>
inline Complex<V> operator+(const Complex<V>& a, const Complex<V>& b) {
  return {a.re + b.re, a.im + b.im};
}

template <typename V>
inline Complex<V> operator-(const Complex<V>& a, const Complex<V>& b) {
  return {a.re - b.re, a.im - b.im};
}

template <typename T>
using Numbers = Complex<simd::Vec<T>>;

template <typename T>
inline Numbers<T> product(const Numbers<T>& a, const Numbers<T>& b) {
  return {simd::fnma<T>(a.im, b.im, a.re * b.re), simd::fma<T>(a.im, b.re, a.re * b.im)};
}

/** a times re + i im, which is the same in all lanes. */
template <typename T>
inline Numbers<T> times(const Numbers<T>& a, T re, T im) {
  return product<T>(a, {simd::splat(re), simd::splat(im)});
}

template <typename V>
inline Complex<V> times_minus_i(const Complex<V>& a) {
  return {a.im, -a.re};
}

template <typename T, typename V>
inline void butterfly(Complex<V> (&x)[2]) {
  auto a = x[0];
  x[0] = a + x[1];
  x[1] = a - x[1];
}

template <typename T, typename V>
inline void butterfly(Complex<V> (&x)[3]) {
  constexpr T half_sqrt3 = static_cast<T>(0.86602540378443864676);
  auto sum = x[1] + x[2];
  auto turned = times_minus_i(x[1] - x[2]);
  Complex<V> middle{x[0].re - sum.re * T(0.5), x[0].im - sum.im * T(0.5)};
  turned = {turned.re * half_sqrt3, turned.im * half_sqrt3};
  x[0] = x[0] + sum;
  x[1] = middle + turned;
  x[2] = middle - turned;
}

template <typename T, typename V>
inline void butterfly(Complex<V> (&x)[4]) {
  auto a = x[0] + x[2];
  auto b = x[0] - x[2];
  auto c = x[1] + x[3];
  auto d = times_minus_i(x[1] - x[3]);
  x[0] = a + c;
  x[1] = b + d;
  x[2] = a - c;
  x[3] = b - d;
}

template <typename T, typename V>
inline void butterfly(Complex<V> (&x)[5]) {
  constexpr T c1 = static_cast<T>(0.30901699437494742410);
  constexpr T c2 = static_cast<T>(-0.80901699437494742410);
  constexpr T s1 = static_cast<T>(0.95105651629515357212);
  constexpr T s2 = static_cast<T>(0.58778525229247312917);
  auto p1 = x[1] + x[4];
  auto p2 = x[2] + x[3];
  auto m1 = times_minus_i(x[1] - x[4]);
  auto m2 = times_minus_i(x[2] - x[3]);
  Complex<V> a1{x[0].re + p1.re * c1 + p2.re * c2, x[0].im + p1.im * c1 + p2.im * c2};
  Complex<V> a2{x[0].re + p1.re * c2 + p2.re * c1, x[0].im + p1.im * c2 + p2.im * c1};
  Complex<V> b1{m1.re * s1 + m2.re * s2, m1.im * s1 + m2.im * s2};
  Complex<V> b2{m1.re * s2 - m2.re * s1, m1.im * s2 - m2.im * s1};
  x[0] = x[0] + p1 + p2;
  x[1] = a1 + b1;
  x[2] = a2 + b2;
  x[3] = a2 - b2;
  x[4] = a1 - b1;
}

template <typename T, typename V>
inline void butterfly(Complex<V> (&x)[8]) {
  constexpr T r = static_cast<T>(0.70710678118654752440);
  Complex<V> even[4] = {x[0], x[2], x[4], x[6]};
  Complex<V> odd[4] = {x[1], x[3], x[5], x[7]};
  butterfly<T>(even);
  butterfly<T>(odd);
  odd[1] = Complex<V>{(odd[1].re + odd[1].im) * r, (odd[1].im - odd[1].re) * r};
  odd[2] = times_minus_i(odd[2]);
  odd[3] = Complex<V>{(odd[3].im - odd[3].re) * r, (odd[3].re + odd[3].im) * -r};
  for (int j = 0; j < 4; j++) {
    x[j] = even[j] + odd[j];
    x[j + 4] = even[j] - odd[j];
  }
}

}  // namespace
}  // namespace mlx::core::cpu::MLX_ISA
