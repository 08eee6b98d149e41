// Tiles of packed rows with a row in each lane, and products of them. Included only by *.isa.cpp
// files.
#pragma once

#include <type_traits>

#include "mlx/backend/cpu/gemm/element.h"

namespace mlx::core::cpu::MLX_ISA::simd {

template <typename T>
constexpr int kTile = 2 * kLanes<T>;

#if defined(__AVX512F__)
constexpr int kColumns = 8;  // whose sums for a tile fit in the registers
#elif defined(__AVX2__)
constexpr int kColumns = 6;
#else
constexpr int kColumns = 4;
#endif

/** Calls f with the number of columns, as a constant, of each group of them: as many as fit, then
 *  halves of that. */
template <int Columns = kColumns, typename F>
static inline void for_groups(int begin, int end, F f) {
  for (; begin + Columns <= end; begin += Columns) {
    f(begin, std::integral_constant<int, Columns>());
  }
  if constexpr (Columns > 1) for_groups<Columns / 2>(begin, end, f);
}

template <typename T, int Columns>
struct Sums {
  static constexpr int lanes = kLanes<T>;
  Vec<T> of[Columns][2];

  inline void load_from(const T* c, int64_t stride) {
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j) {
      of[j][0] = load(c + j * stride);
      of[j][1] = load(c + j * stride + lanes);
    }
  }

  inline void store_to(T* c, int64_t stride) const {
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j) {
      store<T>(c + j * stride, of[j][0]);
      store<T>(c + j * stride + lanes, of[j][1]);
    }
  }

  /** Subtracts the product of k columns of a tile and k rows of b. */
  inline void subtract(int k, const T* tile, const T* b, int64_t stride) {
    for (int i = 0; i < k; ++i) {
      Vec<T> low = -load(tile + i * kTile<T>), high = -load(tile + i * kTile<T> + lanes);
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j) {
        Vec<T> factor = splat(b[j * stride + i]);
        of[j][0] = fma<T>(factor, low, of[j][0]);
        of[j][1] = fma<T>(factor, high, of[j][1]);
      }
    }
  }
};

/** c -= tile b, where the tile has k columns. */
template <typename T, int Columns>
static inline void subtract_product(int k, const T* tile, const T* b, int64_t b_stride, T* c,
                                    int64_t c_stride) {
  Sums<T, Columns> sums;
  sums.load_from(c, c_stride);
  sums.subtract(k, tile, b, b_stride);
  sums.store_to(c, c_stride);
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
