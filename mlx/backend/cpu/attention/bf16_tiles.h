// Tiles of bf16 for attention: how they are filled, and products of up to two by two of them.
// Included only by *.isa.cpp files that may use AMX and AVX512-BF16.
#pragma once

#include "mlx/backend/cpu/attention/score_rows.h"
#include "mlx/backend/cpu/gemm/pack.h"
#include "mlx/backend/cpu/runtime/amx.h"

#if defined(__AVX512F__)

namespace mlx::core::cpu::MLX_ISA::simd {

constexpr int kDepth = 32, kSide = kAmxTileRows;
constexpr int kTile = kAmxTileRows * kAmxTileBytes;

static inline int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// Values [k, k + 32) of a row of n, zeros beyond it and for no row.
static inline __m512i load_halves(const void* row, int64_t k, int64_t n) {
  if (!row) return _mm512_setzero_si512();
  __mmask32 mask = n - k >= 32 ? ~__mmask32{0} : (__mmask32{1} << (n - k)) - 1;
  return _mm512_maskz_loadu_epi16(mask, static_cast<const uint16_t*>(row) + k);
}

// Sixteen vectors of pairs, transposed into a tile.
static inline void store_transposed(Vec<uint32_t> (&t)[kSide], char* tile) {
  transpose<uint32_t>(t);
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) {
    _mm512_store_si512(tile + i * kAmxTileBytes, reinterpret_cast<__m512i>(t[i]));
  }
}

// Two lines of 32 values become pairs, those of the first 16 columns and those of the others.
struct Pairs {
  __m512i first, second;
};

struct HalfOrder {
  alignas(64) uint16_t at[32];
};

static constexpr HalfOrder pair_order(int first) {
  HalfOrder order = {};
  for (int i = 0; i < 32; ++i) order.at[i] = static_cast<uint16_t>(first + i / 2 + i % 2 * 32);
  return order;
}

static constexpr HalfOrder kFirstPairs = pair_order(0), kSecondPairs = pair_order(16);

// Two lines of 16 values, one behind the other, as pairs.
static constexpr HalfOrder own_pair_order() {
  HalfOrder order = {};
  for (int i = 0; i < 32; ++i) order.at[i] = static_cast<uint16_t>(i / 2 + i % 2 * 16);
  return order;
}

static constexpr HalfOrder kOwnPairs = own_pair_order();

static inline Pairs interleave(__m512i even, __m512i odd) {
  return {_mm512_permutex2var_epi16(even, _mm512_load_si512(kFirstPairs.at), odd),
          _mm512_permutex2var_epi16(even, _mm512_load_si512(kSecondPairs.at), odd)};
}

// Two vectors, rounded, one behind the other.
static inline __m512i round_both(Vec<float> first, Vec<float> second) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
}

constexpr int64_t kWeightStride = kScoreStride * sizeof(float);

// c (+)= a b for 16 or 32 rows and columns and a depth of 32 times `steps`. Strides of a are in
// bytes: between rows of a tile (kAmxTileBytes or kWeightStride), between tiles of rows, between
// steps. Tiles of b lie one after
// the other, the columns' of a step together.
struct TileProduct {
  const char *a, *b;
  float* c;
  int64_t a_stride, a_down, a_step;
  int64_t c_stride;  // in floats
  int64_t steps;
  int row_tiles, col_tiles;
  bool accumulate;
};

using MultiplyTiles = void (*)(const TileProduct&);

template <int RowTiles, int ColTiles>
static inline void multiply_by_tiles(const TileProduct& p) {
  int64_t stride = p.c_stride * static_cast<int64_t>(sizeof(float));
  auto c = reinterpret_cast<char*>(p.c);
  char* down = c + kSide * stride;
  const char *a = p.a, *b = p.b;
  if (p.accumulate) {
    _tile_loadd(0, c, stride);
    if constexpr (ColTiles == 2) _tile_loadd(1, c + kAmxTileBytes, stride);
    if constexpr (RowTiles == 2) _tile_loadd(2, down, stride);
    if constexpr (RowTiles == 2 && ColTiles == 2) _tile_loadd(3, down + kAmxTileBytes, stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < p.steps; ++k, a += p.a_step, b += ColTiles * kTile) {
    _tile_loadd(6, b, kAmxTileBytes);
    _tile_loadd(4, a, p.a_stride);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (ColTiles == 2) {
      _tile_loadd(7, b + kTile, kAmxTileBytes);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (RowTiles == 2) {
      _tile_loadd(5, a + p.a_down, p.a_stride);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (ColTiles == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, stride);
  if constexpr (ColTiles == 2) _tile_stored(1, c + kAmxTileBytes, stride);
  if constexpr (RowTiles == 2) _tile_stored(2, down, stride);
  if constexpr (RowTiles == 2 && ColTiles == 2) _tile_stored(3, down + kAmxTileBytes, stride);
}

static void multiply_by_tiles(const TileProduct& p) {
  if (p.row_tiles == 2) {
    p.col_tiles == 2 ? multiply_by_tiles<2, 2>(p) : multiply_by_tiles<2, 1>(p);
  } else {
    p.col_tiles == 2 ? multiply_by_tiles<1, 2>(p) : multiply_by_tiles<1, 1>(p);
  }
}

// Sixteen rows, `Stride` bytes apart, by a vector of columns.
template <int64_t Stride>
static inline void multiply_by_dots(const TileProduct& p, const char* a, const char* b, float* c) {
  Vec<float> sums[kSide] = {};
  for (int64_t k = 0; k < p.steps; ++k, a += p.a_step, b += p.col_tiles * kTile) {
#pragma GCC unroll 2
    for (int64_t pair = 0; pair < kDepth / 2; ++pair) {
      auto columns = reinterpret_cast<__m512bh>(_mm512_load_si512(b + pair * kAmxTileBytes));
#pragma GCC unroll 16
      for (int r = 0; r < kSide; ++r) {
        int32_t row;
        __builtin_memcpy(&row, a + r * Stride + pair * 4, sizeof(row));
        sums[r] =
            _mm512_dpbf16_ps(sums[r], reinterpret_cast<__m512bh>(_mm512_set1_epi32(row)), columns);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kSide; ++r) {
    float* to = c + r * p.c_stride;
    store(to, p.accumulate ? load(to) + sums[r] : sums[r]);
  }
}

static void multiply_by_dots(const TileProduct& p) {
  for (int64_t i = 0; i < p.row_tiles; ++i) {
    for (int64_t j = 0; j < p.col_tiles; ++j) {
      const char *a = p.a + i * p.a_down, *b = p.b + j * kTile;
      float* c = p.c + i * kSide * p.c_stride + j * kSide;
      p.a_stride == kAmxTileBytes ? multiply_by_dots<kAmxTileBytes>(p, a, b, c)
                                  : multiply_by_dots<kWeightStride>(p, a, b, c);
    }
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd

#endif
