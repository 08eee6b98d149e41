// Products of few rows of x with rows of codes, which are unpacked in registers: the sum of a group
// is scaled once. A Dot says how activations and codes are multiplied. Included only by *.isa.cpp
// files.
#pragma once

#include "mlx/backend/cpu/quantized/scales.h"

namespace mlx::core::cpu::MLX_ISA::simd {

// The sum of all lanes, in as few steps as there are halvings.
static inline float total(Vec<float> v) {
  alignas(64) float lanes[kLanes<float>];
  store<float>(lanes, v);
#pragma GCC unroll 4
  for (int half = kLanes<float> / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

constexpr int kChunk = 64;     // groups whose scales are widened at a time
constexpr int kTilePairs = 4;  // rows of x times rows of w that are multiplied at once
constexpr int kFactors = kChunk + kGroupPadding;
constexpr int kCacheLine = 64;

// Bytes from what is multiplied to what is fetched from memory: rows follow each other.
constexpr int kFetchAhead = 8192;

// Rows [row, row + rows) of x times `cols` rows of w, `col` and those of the streams that follow.
struct Tile {
  int row, rows;
  int64_t col;
  int cols;
};

// For each pair of rows of a tile, by column within row: scales of w times those of x, and what the
// biases of w add, in sums by lane.
struct Factors {
  alignas(64) float scales[kTilePairs][kFactors];
  Vec<float> shifts[kTilePairs];
};

// Adds up shifts and replaces the scales by those of groups [first, first + n).
[[gnu::noinline]] static void widen_factors(const FewRowsProduct& p, const Tile& tile,
                                            int64_t first, int n, Factors& to) {
  constexpr int lanes = kLanes<float>;
  alignas(64) float scales[kChunk + kGroupPadding], biases[kChunk + kGroupPadding];
  for (int c = 0; c < tile.cols; ++c) {
    int64_t at = (tile.col + c * p.apart) * p.w.row_groups + first, next = 4 * p.w.row_groups;
    load_scales(p.w.scale, p.w.scales, at, n, scales, next);
    if (p.w.biases) load_scales(p.w.scale, p.w.biases, at, n, biases, next);
    for (int r = 0; r < tile.rows; ++r) {
      int64_t from = (tile.row + r) * p.x.group_stride + first;
      int pair = r * tile.cols + c;
      for (int j = 0; j < n; j += lanes) {
        store<float>(to.scales[pair] + j, load(scales + j) * load(p.x.scales + from + j));
      }
      store<float>(to.scales[pair] + n, Vec<float>{});  // of what is missing of a block
      if (!p.w.biases) continue;
      Vec<float> shift = to.shifts[pair];
      int j = 0;
      for (; j + lanes <= n; j += lanes) {
        shift = fma<float>(load(biases + j), load(p.x.sums + from + j), shift);
      }
      for (; j < n; ++j) shift[0] += biases[j] * p.x.sums[from + j];
      to.shifts[pair] = shift;
    }
  }
}

template <typename Dot>
using SumOf = Vec<typename Dot::Sum>;

// Sums of the products of one block.
template <typename Dot, bool First, int Rows, int Cols>
static inline void add_block(const uint8_t* block, int64_t col_bytes, const typename Dot::X* x,
                             int64_t x_stride, SumOf<Dot> (&sums)[Rows][Cols]) {
#pragma GCC unroll 4
  for (int c = 0; c < Cols; ++c) {
    typename Dot::Block codes;
    Dot::unpack(block + c * col_bytes, codes);
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      SumOf<Dot> sum = {};
      if constexpr (!First) sum = sums[r][c];
#pragma GCC unroll 8
      for (int i = 0; i < Dot::kVectors; ++i) {
        sum = Dot::add(sum, codes[i], load(x + r * x_stride + i * kLanes<typename Dot::X>));
      }
      sums[r][c] = sum;
    }
  }
}

// `n` groups of at least one block.
template <typename Dot, int Rows, int Cols>
static inline void add_groups(const FewRowsProduct& p, const uint8_t* codes,
                              const typename Dot::X* x, int n, const Factors& factors,
                              Vec<float> (&totals)[Rows][Cols]) {
  int64_t col_bytes = p.apart * p.w.row_bytes, x_stride = p.x.stride;
  int blocks = p.w.group / kCodeBlock, group_bytes = p.w.group / 8 * Dot::Codes::kBits;
  for (int j = 0; j < n; ++j) {
    for (int at = 0; at < group_bytes; at += kCacheLine) {
#pragma GCC unroll 4
      for (int c = 0; c < Cols; ++c) fetch_ahead(codes + c * col_bytes + at + kFetchAhead);
    }
    SumOf<Dot> sums[Rows][Cols];
    add_block<Dot, true>(codes, col_bytes, x, x_stride, sums);
    codes += kCodeBlock / 8 * Dot::Codes::kBits;
    x += kCodeBlock;
    for (int block = 1; block < blocks; ++block) {
      add_block<Dot, false>(codes, col_bytes, x, x_stride, sums);
      codes += kCodeBlock / 8 * Dot::Codes::kBits;
      x += kCodeBlock;
    }
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
      for (int c = 0; c < Cols; ++c) {
        Vec<float> factor = splat(factors.scales[r * Cols + c][j]);
        totals[r][c] = fma<float>(Dot::to_floats(sums[r][c]), factor, totals[r][c]);
      }
    }
  }
}

// `n` groups of half a block, of which `left` codes are left in the rows.
template <typename Dot, int Rows, int Cols>
static inline void add_half_groups(const FewRowsProduct& p, const uint8_t* codes,
                                   const typename Dot::X* x, int n, int64_t left,
                                   const Factors& factors, Vec<float> (&totals)[Rows][Cols]) {
  int64_t col_bytes = p.apart * p.w.row_bytes;
  for (int j = 0; j < n; j += 2) {
    for (int c = 0; c < Cols; ++c) {
      uint8_t copy[kCodeBlock];
      typename Dot::Block block;
      Dot::unpack_ordered(whole_block<typename Dot::Codes>(codes + c * col_bytes, left, copy),
                          block);
      for (int r = 0; r < Rows; ++r) {
        Dot::add_halves(block, x + r * p.x.stride, factors.scales[r * Cols + c] + j, totals[r][c]);
      }
    }
    codes += kCodeBlock / 8 * Dot::Codes::kBits;
    x += kCodeBlock;
    left -= kCodeBlock;
  }
}

template <typename Dot, int Rows, int Cols>
static void multiply_tile(const FewRowsProduct& p, int row, int64_t col) {
  static_assert(Rows * Cols <= kTilePairs && kLanes<float> <= kGroupPadding);
  Tile tile = {row, Rows, col, Cols};
  Factors factors;
  for (Vec<float>& shift : factors.shifts) shift = Vec<float>{};
  Vec<float> totals[Rows][Cols] = {};
  int64_t groups = p.w.depth / p.w.group;
  for (int64_t first = 0; first < groups; first += kChunk) {
    int n = static_cast<int>(groups - first < kChunk ? groups - first : kChunk);
    widen_factors(p, tile, first, n, factors);
    int64_t k = first * p.w.group;
    const uint8_t* codes = p.w.codes + col * p.w.row_bytes + k / 8 * Dot::Codes::kBits;
    const typename Dot::X* x = Dot::activations(p.x) + row * p.x.stride + k;
    if (p.w.group < kCodeBlock) {
      add_half_groups<Dot>(p, codes, x, n, p.w.depth - k, factors, totals);
    } else {
      add_groups<Dot>(p, codes, x, n, factors, totals);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    float* to = p.sums + (row + r) * p.sums_stride + col;
    for (int c = 0; c < Cols; ++c) {
      to[c * p.apart] = total(totals[r][c] + factors.shifts[r * Cols + c]);
    }
  }
}

// All rows of x, a few at a time, over the same rows of w, which stay in the first cache.
template <typename Dot>
static void multiply_few_rows(const FewRowsProduct& p) {
  for (int64_t j = 0; j < p.count; ++j) {
    int c = 0;
    for (; p.rows == 1 && c + 4 <= p.streams; c += 4) multiply_tile<Dot, 1, 4>(p, 0, j);
    for (; p.rows == 2 && c + 2 <= p.streams; c += 2) {
      multiply_tile<Dot, 2, 2>(p, 0, j + c * p.apart);
    }
    for (; c < p.streams; ++c) {
      int64_t col = j + c * p.apart;
      int r = 0;
      for (; r + 4 <= p.rows; r += 4) multiply_tile<Dot, 4, 1>(p, r, col);
      for (; r + 2 <= p.rows; r += 2) multiply_tile<Dot, 2, 1>(p, r, col);
      if (r < p.rows) multiply_tile<Dot, 1, 1>(p, r, col);
    }
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
