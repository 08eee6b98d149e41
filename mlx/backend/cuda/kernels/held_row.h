// A row of neighbours in the registers of a warp or a block: read once, worked on, written once.
#pragma once

#include "mlx/backend/cuda/kernels/values.h"

namespace mlx::core::kernels {

/** How a row is spread: each of `lanes` threads has `packs` times `width` neighbours of it. */
template <typename T, int lanes, int width, int packs>
struct HeldRow {
  using C = decltype(computed(T{}));
  C values[packs][width];

  /** f(first column, values) for each pack within the row. */
  template <typename F>
  MLX_FN void each(int64_t n, F f) {
#pragma unroll
    for (int k = 0; k < packs; k++) {
      int64_t at = (k * lanes + threadIdx.x % lanes) * width;
      if (at < n) f(k, at, values[k]);
    }
  }
  MLX_FN void read(const T* row, int64_t n) {
    each(n, [&](int, int64_t at, C(&v)[width]) {
      auto pack = load_pack<T, width>(row, at);
#pragma unroll
      for (int j = 0; j < width; j++) v[j] = computed(pack.at[j]);
    });
  }
};

/** Rows too long for registers are read again each time. */
template <typename T, int lanes, int width>
struct HeldRow<T, lanes, width, 0> {
  using C = decltype(computed(T{}));
  const T* row;

  template <typename F>
  MLX_FN void each(int64_t n, F f) {
    for (int64_t at = threadIdx.x % lanes * width; at < n; at += lanes * width) {
      auto pack = load_pack<T, width>(row, at);
      C v[width];
#pragma unroll
      for (int j = 0; j < width; j++) v[j] = computed(pack.at[j]);
      f(0, at, v);
    }
  }
  MLX_FN void read(const T* from, int64_t) { row = from; }
};

template <typename T, int width, typename C>
MLX_FN void write_values(T* row, int64_t at, const C (&v)[width]) {
  Pack<T, width> pack;
#pragma unroll
  for (int j = 0; j < width; j++) pack.at[j] = rounded<T>(v[j]);
  store_pack<T, width>(row, at, pack);
}

}  // namespace mlx::core::kernels
