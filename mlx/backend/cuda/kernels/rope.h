// Rotary position encoding: a thread holds the sines of a few pairs at one position and turns these
// pairs of many heads. With few threads a kernel takes as long as its text takes to arrive, so what
// is rarely needed is not in line.
#pragma once

#include "mlx/backend/cuda/kernels/rope_call.h"
#include "mlx/backend/cuda/kernels/walk.h"

namespace mlx::core::kernels {

struct RopePlace {
  int64_t in, out, offset;
};

struct Quotient {
  int64_t whole, rest;
};

__device__ __noinline__ Quotient wide_quotient(int64_t a, int64_t b) { return {a / b, a % b}; }

MLX_FN Quotient quotient(int64_t a, int64_t b) {
  if ((a | b) >> 32) return wide_quotient(a, b);
  auto x = static_cast<uint32_t>(a), y = static_cast<uint32_t>(b), whole = x / y;
  return {whole, x - whole * y};
}

MLX_FN RopePlace rope_place(const RopeAxes& axes, int64_t index) {
  RopePlace at = {0, 0, 0};
#pragma unroll
  for (int i = rope_rank - 1; i >= 0; i--) {
    if (i >= axes.rank) continue;
    int64_t here = index;
    if (i > 0) {
      Quotient parts = quotient(index, axes.extents[i]);
      here = parts.rest;
      index = parts.whole;
    }
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

__device__ __noinline__ Circle<float> far_circle(float angle) {
  return {math::cos_any(angle), math::sin_any(angle)};
}

MLX_FN Circle<float> circle(float angle) {
  if (fabs(angle) <= math::trig_limit) {
    return {math::cos_bounded(angle), math::sin_bounded(angle)};
  }
  return far_circle(angle);
}
MLX_FN Circle<double> circle(double angle) { return {math::cos(angle), math::sin(angle)}; }

/** Of N pairs from number `first` on, the first of which has the frequency `freq` if none are
 * given. */
template <typename C, int N>
MLX_FN void find_circles(const RopeCall& p, int64_t position, int64_t first, double freq,
                         Circle<C>* by) {
  C at = static_cast<C>(position) * static_cast<C>(p.scale);
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

/** N pairs that start at pair `first` of a row. A single pair is moved value by value: its place
 * need not be aligned to two. */
template <typename T, bool neighbours, int N>
struct HeldPairs {
  static constexpr bool interleaved = neighbours && N > 1;
  Pack<T, N> a, b;

  MLX_FN static int64_t place(int64_t first) { return neighbours ? 2 * first : first; }
  MLX_FN static int64_t other(int64_t first, int64_t pairs) {
    return neighbours ? 2 * first + 1 : pairs + first;
  }

  MLX_FN void read(const T* in, int64_t first, int64_t pairs) {
    if constexpr (interleaved) {
      auto both = load_pack<T, 2 * N>(in, place(first));
#pragma unroll
      for (int k = 0; k < N; k++) {
        a.at[k] = both.at[2 * k];
        b.at[k] = both.at[2 * k + 1];
      }
    } else {
      a = load_pack<T, N>(in, place(first));
      b = load_pack<T, N>(in, other(first, pairs));
    }
  }

  template <typename C>
  MLX_FN void turn(const Circle<C>* by) {
#pragma unroll
    for (int k = 0; k < N; k++) {
      C u = computed(a.at[k]), v = computed(b.at[k]);
      a.at[k] = rounded<T>(u * by[k].cosine - v * by[k].sine);
      b.at[k] = rounded<T>(u * by[k].sine + v * by[k].cosine);
    }
  }

  MLX_FN void write(T* out, int64_t first, int64_t pairs) const {
    if constexpr (interleaved) {
      Pack<T, 2 * N> both;
#pragma unroll
      for (int k = 0; k < N; k++) {
        both.at[2 * k] = a.at[k];
        both.at[2 * k + 1] = b.at[k];
      }
      store_pack<T, 2 * N>(out, place(first), both);
    } else {
      store_pack<T, N>(out, place(first), a);
      store_pack<T, N>(out, other(first, pairs), b);
    }
  }
};

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
  Quotient row = quotient(thread, p.packs), chunk = quotient(row.whole, p.length);
  int64_t pack = row.rest, position = chunk.rest;
  Quotient lists = quotient(chunk.whole, p.chunks);
  int64_t first = lists.rest * p.each;
  RopePlace group = rope_place(p.group, lists.whole);
  bool turns = pack < p.pairs / N;
  Circle<C> by[N];
  HeldPairs<T, neighbours, N> x;
  auto row_of = [&](const RopePlace& place) {
    return static_cast<const T*>(p.x) + group.in + place.in + position * p.in_stride;
  };
  RopePlace place = rope_place(p.list, first);
  double freq = p.freqs ? 0.0 : ::exp2(static_cast<double>(pack * N) * p.step);
  await_earlier();
  if (thread >= p.total) return;
  if (turns) {  // the row comes while its angles are found
    x.read(row_of(place), pack * N, p.pairs);
    find_circles<C, N>(p, rope_start(p, group.offset) + position, pack * N, freq, by);
  }
  int64_t end = first + p.each < p.shared ? first + p.each : p.shared;
  for (int64_t list = first; list < end; list++) {
    if (list > first) {
      place = rope_place(p.list, list);
      if (turns) x.read(row_of(place), pack * N, p.pairs);
    }
    const T* in = row_of(place);
    T* out = static_cast<T*>(p.out) + group.out + place.out + position * p.out_stride;
    if (turns) {
      x.turn(by);
      x.write(out, pack * N, p.pairs);
    } else {
      for (int64_t i = 2 * N * pack; i < 2 * N * (pack + 1) && i < p.width; i++) out[i] = in[i];
    }
  }
}

}  // namespace mlx::core::kernels
