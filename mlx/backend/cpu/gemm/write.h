// The writer of finished tiles: scales, adds c, rounds to the type of the output. Included only by
// *.isa.cpp files.
#pragma once

#include "mlx/backend/cpu/gemm/element.h"
#include "mlx/backend/cpu/gemm/kernels.h"

namespace mlx::core::cpu::MLX_ISA::simd {

template <typename E, typename Out>
static inline void write_row(const typename E::Lane* sums, const TileWrite& t, Out* out,
                             const Out* c) {
  using Lane = typename E::Lane;
  constexpr int lanes = kLanes<Lane>;
  Lane alpha = static_cast<Lane>(t.alpha), beta = static_cast<Lane>(t.beta);
  for (int64_t j = 0; j < t.cols; j += lanes) {
    int n = t.cols - j < lanes ? static_cast<int>(t.cols - j) : lanes;
    Vec<Lane> v = n == lanes ? load(sums + j) : load_some<Element<Lane>>(sums + j, n);
    v *= splat(alpha);
    if (c) {
      Vec<Lane> add;
      if (t.c_col_stride == 0) {
        add = splat(E::get(c));
      } else {
        add = n == lanes ? E::load(c + j) : load_some<E>(c + j, n);
      }
      v += splat(beta) * add;
    }
    if (n == lanes) {
      E::store(out + j, v);
    } else {
      store_some<E>(out + j, v, n);
    }
  }
}

template <typename E, typename Out>
static void write_tile(const TileWrite& t) {
  using Lane = typename E::Lane;
  bool contiguous = t.col_stride == 1 && (!t.c || t.c_col_stride == 1 || t.c_col_stride == 0);
  Lane alpha = static_cast<Lane>(t.alpha), beta = static_cast<Lane>(t.beta);
  for (int64_t i = 0; i < t.rows; ++i) {
    auto sums = static_cast<const Lane*>(t.sums) + i * t.sums_stride;
    Out* out = static_cast<Out*>(t.out) + (t.row_offsets ? t.row_offsets[i] : i * t.row_stride);
    const Out* c = t.c ? static_cast<const Out*>(t.c) + i * t.c_row_stride : nullptr;
    if (contiguous) {
      write_row<E, Out>(sums, t, out, c);
      continue;
    }
    for (int64_t j = 0; j < t.cols; ++j) {
      Lane v = alpha * sums[j];
      if (c) v += beta * E::get(c + j * t.c_col_stride);
      E::put(out + j * t.col_stride, v);
    }
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
