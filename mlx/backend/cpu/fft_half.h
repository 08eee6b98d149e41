// Real rows as complex ones of half the length: what separates the spectra of even and odd numbers,
// and the reverse, in lanes of rows and along dense rows. Included by kernels.
#pragma once

#include "mlx/backend/cpu/fft.h"
#include "mlx/backend/cpu/fft_butterfly.h"

namespace mlx::core::cpu::MLX_ISA {
namespace {

/** Number k of the half spectrum from numbers k and n - k of the transform of the pairs, with
 *  w = exp(-i pi k / n). */
template <typename T>
inline Numbers<T> split_half(const Numbers<T>& a, const Numbers<T>& b, const Numbers<T>& w) {
  auto half = simd::splat(T(0.5));
  Numbers<T> even{(a.re + b.re) * half, (a.im - b.im) * half};
  Numbers<T> odd{(a.im + b.im) * half, (b.re - a.re) * half};
  return even + product<T>(odd, w);
}

/** The reverse, times 2 and with exchanged parts. */
template <typename T>
inline Numbers<T> combined_half(const Numbers<T>& a, const Numbers<T>& b, const Numbers<T>& w) {
  Numbers<T> even{a.re + b.re, a.im - b.im};
  auto odd = product<T>({a.re - b.re, a.im + b.im}, {w.re, -w.im});
  return {even.im + odd.re, even.re - odd.im};
}

template <typename T>
struct Root {
  T re, im;
};

/** exp(-2 pi i angle / roots.n) for an angle below n. */
template <typename T>
inline Root<T> root(const FftRoots& roots, int64_t angle) {
  const double* a = roots.coarse + 2 * (angle >> roots.shift);
  const double* b = roots.fine + 2 * (angle & ((int64_t{1} << roots.shift) - 1));
  return {static_cast<T>(a[0] * b[0] - a[1] * b[1]), static_cast<T>(a[0] * b[1] + a[1] * b[0])};
}

template <typename T>
inline simd::Vec<T> reversed(simd::Vec<T> v) {
  return [&]<int... J>(std::integer_sequence<int, J...>) {
    constexpr simd::IndexVec<T> index = {(simd::kLanes<T> - 1 - J)...};
    return __builtin_shuffle(v, index);
  }
  (std::make_integer_sequence<int, simd::kLanes<T>>{});
}

/** Numbers of a dense row as they lie, `live` of them, or backwards. */
template <typename T, typename S>
inline Numbers<T> load_dense(const S* p, int live, bool backwards) {
  using E = simd::Element<S, T>;
  constexpr int lanes = simd::kLanes<T>;
  Numbers<T> x{};
  if (live == lanes) {
    x = {E::load(p), E::load(p + lanes)};
  } else {
    S some[2 * lanes] = {};
    for (int i = 0; i < 2 * live; i++) some[i + (backwards ? 2 * (lanes - live) : 0)] = p[i];
    x = {E::load(some), E::load(some + lanes)};
  }
  simd::split_parts<T>(x.re, x.im);
  return backwards ? Numbers<T>{reversed<T>(x.re), reversed<T>(x.im)} : x;
}

template <typename T, typename S>
inline void store_dense(S* p, Numbers<T> x, int live) {
  using E = simd::Element<S, T>;
  constexpr int lanes = simd::kLanes<T>;
  simd::join_parts<T>(x.re, x.im);
  if (live == lanes) {
    E::store(p, x.re);
    E::store(p + lanes, x.im);
  } else {
    S some[2 * lanes];
    E::store(some, x.re);
    E::store(some + lanes, x.im);
    for (int i = 0; i < 2 * live; i++) p[i] = some[i];
  }
}

template <typename T>
inline Numbers<T> roots_from(const FftHalf& half, int64_t k) {
  auto lanes = static_cast<const T*>(half.lanes);
  auto w = root<T>(half.roots, k);
  return times<T>({simd::load(lanes), simd::load(lanes + simd::kLanes<T>)}, w.re, w.im);
}

/** The same number in the first lane. */
template <typename T>
inline Numbers<T> first_lane(T re, T im) {
  return {simd::Vec<T>{re}, simd::Vec<T>{im}};
}

template <typename T, typename S>
void split_half_into(const FftHalf& half, int64_t begin, int64_t end) {
  auto z = static_cast<const T*>(half.in);
  auto out = static_cast<S*>(half.out);
  auto scale = simd::splat(static_cast<T>(half.scale));
  for (int64_t k = begin; k < end;) {
    bool edge = k == 0 || k == half.n;
    int64_t most = edge ? 1 : (end < half.n ? end : half.n) - k;
    int live = static_cast<int>(most < simd::kLanes<T> ? most : simd::kLanes<T>);
    Numbers<T> a = edge ? first_lane<T>(z[0], z[1]) : load_dense<T>(z + 2 * k, live, false);
    Numbers<T> b = edge ? a : load_dense<T>(z + 2 * (half.n - k - live + 1), live, true);
    auto x = split_half<T>(a, b, roots_from<T>(half, k));
    store_dense<T>(out + 2 * k, {x.re * scale, x.im * scale}, live);
    k += live;
  }
}

template <typename T>
void split_half_dense(const FftHalf& half, int64_t begin, int64_t end) {
  if constexpr (sizeof(T) == sizeof(double)) {
    if (half.out_double) return split_half_into<T, double>(half, begin, end);
  }
  split_half_into<T, float>(half, begin, end);
}

template <typename T, typename S>
void combine_half_from(const FftHalf& half, int64_t begin, int64_t end) {
  auto x = static_cast<const S*>(half.in);
  auto out = static_cast<T*>(half.out);
  for (int64_t k = begin; k < end;) {
    int64_t most = k == 0 ? 1 : end - k;
    int live = static_cast<int>(most < simd::kLanes<T> ? most : simd::kLanes<T>);
    Numbers<T> a = load_dense<T>(x + 2 * k, live, false);
    Numbers<T> b = load_dense<T>(x + 2 * (half.n - k - live + 1), live, true);
    if (k == 0) a.im = b.im = simd::Vec<T>{};
    store_dense<T>(out + 2 * k, combined_half<T>(a, b, roots_from<T>(half, k)), live);
    k += live;
  }
}

template <typename T>
void combine_half_dense(const FftHalf& half, int64_t begin, int64_t end) {
  if constexpr (sizeof(T) == sizeof(double)) {
    if (half.in_double) return combine_half_from<T, double>(half, begin, end);
  }
  combine_half_from<T, float>(half, begin, end);
}

}  // namespace
}  // namespace mlx::core::cpu::MLX_ISA
