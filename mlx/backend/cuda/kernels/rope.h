// Rotary position encoding: a thread holds the sines of a few pairs at one position and turns these
// pairs of many heads.
#pragma once

#include "mlx/backend/cuda/kernels/rope_call.h"
#include "mlx/backend/cuda/kernels/walk.h"

namespace mlx::core::kernels {

struct RopePlace {
  int64_t in, out, offset;
};

MLX_FN RopePlace rope_place(const RopeAxes& axes, int64_t index) {
  RopePlace at = {0, 0, 0};
#pragma unroll
  for (int i = rope_rank - 1; i >= 0; i--) {
    if (i >= axes.rank) continue;
    int64_t here = index % axes.extents[i];
    index /= axes.extents[i];
    at.in += here * axes.in[i];
    at.out += here * axes.out[i];
    at.offset += here * axes.offset[i];
  }
  return at;
}

template <typename C>
struct Circle {
  C cosine, sine;
};

MLX_FN Circle<float> circle(float angle) {
  if (fabs(angle) <= math::trig_limit) {
    return {math::cos_bounded(angle), math::sin_bounded(angle)};
  }
  return {math::cos_any(angle), math::sin_any(angle)};
}
MLX_FN Circle<double> circle(double angle) { return {math::cos(angle), math::sin(angle)}; }

/** Of N pairs from number `first` on. */
template <typename C, int N>
MLX_FN void find_circles(const RopeCall& p, int64_t position, int64_t first, Circle<C>* by) {
  C at = static_cast<C>(position) * static_cast<C>(p.scale);
  double freq = p.freqs ? 0.0 : ::exp2(static_cast<double>(first) * p.step);
#pragma unroll
  for (int k = 0; k < N; k++) {
    by[k] = circle(
        at * (p.freqs ? C(1) / static_cast<const C*>(p.freqs)[first + k] : static_cast<C>(freq)));
    freq *= p.ratio;  // off by a double's last digits, which the float does not have
  }
}

MLX_FN int64_t rope_start(const RopeCall& p, int64_t at) {
  if (!p.offset) return p.start;
  return p.wide_offset ? static_cast<const int64_t*>(p.offset)[at]
                       : static_cast<const int32_t*>(p.offset)[at];
}

/** N pairs that start at pair `first`. A single pair is moved value by value: its place need not be
 *  aligned to two. */
template <typename T, bool neighbours, int N, typename C>
MLX_FN void turn_pairs(const T* in, T* out, int64_t first, int64_t pairs, const Circle<C>* by) {
  constexpr bool interleaved = neighbours && N > 1;
  int64_t at = neighbours ? 2 * first : first, other = neighbours ? at + 1 : pairs + first;
  Pack<T, N> a, b;
  if constexpr (interleaved) {
    auto both = load_pack<T, 2 * N>(in, at);
#pragma unroll
    for (int k = 0; k < N; k++) {
      a.at[k] = both.at[2 * k];
      b.at[k] = both.at[2 * k + 1];
    }
  } else {
    a = load_pack<T, N>(in, at);
    b = load_pack<T, N>(in, other);
  }
#pragma unroll
  for (int k = 0; k < N; k++) {
    C u = computed(a.at[k]), v = computed(b.at[k]);
    a.at[k] = rounded<T>(u * by[k].cosine - v * by[k].sine);
    b.at[k] = rounded<T>(u * by[k].sine + v * by[k].cosine);
  }
  if constexpr (interleaved) {
    Pack<T, 2 * N> both;
#pragma unroll
    for (int k = 0; k < N; k++) {
      both.at[2 * k] = a.at[k];
      both.at[2 * k + 1] = b.at[k];
    }
    store_pack<T, 2 * N>(out, at, both);
  } else {
    store_pack<T, N>(out, at, a);
    store_pack<T, N>(out, other, b);
  }
}

template <typename T, bool neighbours, int N>
MLX_FN void rope(const RopeCalls& calls) {
  using C = decltype(computed(T{}));
  int part = 0;
#pragma unroll
  for (int i = 1; i < most_rope_parts; i++) {
    part += i < calls.parts && blockIdx.x >= calls.first_block[i];
  }
  const RopeCall& p = calls.part[part];
  int64_t thread = (blockIdx.x - calls.first_block[part]) * blockDim.x + threadIdx.x;
  if (thread >= p.total) return;
  int64_t turning = p.pairs / N, pack = thread % p.packs, rest = thread / p.packs;
  int64_t position = rest % p.length;
  rest /= p.length;
  int64_t chunks = (p.shared + p.each - 1) / p.each;
  int64_t first = rest % chunks * p.each;
  RopePlace group = rope_place(p.group, rest / chunks);
  Circle<C> by[N];
  if (pack < turning) {
    int64_t start = rope_start(p, group.offset) + position;
    find_circles<C, N>(p, start, pack * N, by);
  }
  int64_t end = first + p.each < p.shared ? first + p.each : p.shared;
  for (int64_t list = first; list < end; list++) {
    RopePlace place = rope_place(p.list, list);
    const T* in = static_cast<const T*>(p.x) + group.in + place.in + position * p.in_stride;
    T* out = static_cast<T*>(p.out) + group.out + place.out + position * p.out_stride;
    if (pack < turning) {
      turn_pairs<T, neighbours, N>(in, out, pack * N, p.pairs, by);
    } else {
      for (int64_t i = 2 * N * pack; i < 2 * N * (pack + 1) && i < p.width; i++) out[i] = in[i];
    }
  }
}

}  // namespace mlx::core::kernels
