// Blocks of attention in bf16. Operands are packed as the tiles of AMX want them: left ones in rows
// of 32 values, right ones in lines of 16 pairs of the depth. Where there is no AMX, dot products
// of pairs go through the same tiles.
#if defined(__AVX512F__)
#pragma GCC target("amx-tile,amx-bf16,avx512bf16")
#endif

#include "mlx/backend/cpu/attention/bf16_tiles.h"

namespace mlx::core::cpu::MLX_ISA {

#if defined(__AVX512F__)

namespace simd {

// [step of the depth][tile of 16 rows]; rows past the last are zeros.
static void pack_query_tiles(void* to, const void* const* rows, int64_t count, int64_t depth) {
  auto tile = static_cast<char*>(to);
  int64_t padded = round_up(count, kSide);
  for (int64_t k = 0; k < depth; k += kDepth) {
    for (int64_t i = 0; i < padded; ++i, tile += kAmxTileBytes) {
      _mm512_store_si512(tile, load_halves(i < count ? rows[i] : nullptr, k, depth));
    }
  }
}

// [32 keys][step of the depth][tile of 16 keys].
static void pack_key_tiles(void* to, const void* const* rows, int64_t count, int64_t depth) {
  auto tile = static_cast<char*>(to);
  for (int64_t i = 0; i < count; i += 2 * kSide) {
    for (int64_t k = 0; k < depth; k += kDepth) {
      for (int64_t w = i; w < i + 2 * kSide; w += kSide, tile += kTile) {
        Vec<uint32_t> t[kSide];
#pragma GCC unroll 16
        for (int r = 0; r < kSide; ++r) {
          t[r] = reinterpret_cast<Vec<uint32_t>>(
              load_halves(w + r < count ? rows[w + r] : nullptr, k, depth));
        }
        store_transposed(t, tile);
      }
    }
  }
}

// [32 columns][step of 32 keys][tile of 16 columns], the last column tile alone if it is.
static void pack_line_tiles(void* to, const void* const* lines, int64_t count, int64_t columns) {
  auto tile = static_cast<char*>(to);
  for (int64_t j = 0; j < columns; j += 2 * kSide) {
    bool both = columns - j > kSide;
    for (int64_t k = 0; k < count; k += kDepth, tile += (1 + both) * kTile) {
      for (int64_t i = 0; i < kSide; ++i) {
        int64_t even = k + 2 * i, odd = even + 1;
        Pairs pairs = interleave(load_halves(even < count ? lines[even] : nullptr, j, columns),
                                 load_halves(odd < count ? lines[odd] : nullptr, j, columns));
        _mm512_store_si512(tile + i * kAmxTileBytes, pairs.first);
        if (both) _mm512_store_si512(tile + kTile + i * kAmxTileBytes, pairs.second);
      }
    }
  }
}

template <MultiplyTiles Multiply>
static void score_tiles(const BlockProduct& p) {
  TileProduct t = {};
  t.row_tiles = p.rows > kSide ? 2 : 1;
  t.col_tiles = 2;
  t.steps = round_up(p.depth, kDepth) / kDepth;
  t.a = static_cast<const char*>(p.left);
  t.a_stride = kAmxTileBytes;
  t.a_down = kTile;
  t.a_step = t.row_tiles * kTile;
  t.b = static_cast<const char*>(p.right);
  t.c_stride = p.stride;
  for (int64_t j = 0; j < p.cols; j += 2 * kSide, t.b += t.steps * 2 * kTile) {
    t.c = p.out + j;
    Multiply(t);
  }
}

template <MultiplyTiles Multiply>
static void add_line_tiles(const BlockProduct& p) {
  TileProduct t = {};
  t.row_tiles = p.rows > kSide ? 2 : 1;
  t.steps = p.depth / kDepth;
  t.a = static_cast<const char*>(p.left);
  t.a_stride = kWeightStride;
  t.a_down = kSide * t.a_stride;
  t.a_step = kAmxTileBytes;
  t.b = static_cast<const char*>(p.right);
  t.c_stride = p.stride;
  t.accumulate = true;
  for (int64_t j = 0; j < p.cols; j += 2 * kSide) {
    t.col_tiles = p.cols - j > kSide ? 2 : 1;
    t.c = p.out + j;
    Multiply(t);
    t.b += round_up(p.packed_keys, kDepth) / kDepth * t.col_tiles * kTile;
  }
}

// Weights overwrite the scores from the start of the row, half as wide.
static float weigh_halves(float* scores, int64_t n, float scale, float top) {
  Vec<float> sums[2] = {};
  for (int64_t k = 0; k < n; k += kDepth) {
    Vec<float> w[2];
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      Vec<float> x = load(scores + k + v * kSide);
      w[v] = exp_of_difference<4>(fma<float>(x, splat(scale), splat(-top)));
      sums[v] += w[v];
    }
    _mm512_storeu_si512(reinterpret_cast<uint16_t*>(scores) + k, round_both(w[0], w[1]));
  }
  return sum_of_lanes(sums[0] + sums[1]);
}

static bool advance_halves(const ScoreBlock& block, float* top, float* total, float* factor) {
  return advance_rows(block, top, total, factor, weigh_halves);
}

static inline void store_pair_tiles(char* tile, __m512i even_and_odd_first,
                                    __m512i even_and_odd_second) {
  __m512i order = _mm512_load_si512(kOwnPairs.at);
  _mm512_store_si512(tile, _mm512_permutexvar_epi16(order, even_and_odd_first));
  _mm512_store_si512(tile + kTile, _mm512_permutexvar_epi16(order, even_and_odd_second));
}

// Two rows at a time, since pairs along the rows are what products with columns take.
static void change_halves(const GradientBlock& b) {
  float scale = mask_rows(b.block);
  for (int64_t i = 0; i < 2 * kSide; i += 2) {
    auto weights = static_cast<char*>(b.weight_pairs), changes = static_cast<char*>(b.change_pairs);
    int64_t at = 2 * b.pair_step * kTile + i / 2 * kAmxTileBytes;
    int64_t next = 2 * b.pair_steps * kTile;
    if (i >= b.block.rows) {
      for (int64_t k = 0; k < b.block.padded; k += kDepth, at += next) {
        store_pair_tiles(weights + at, __m512i{}, __m512i{});
        store_pair_tiles(changes + at, __m512i{}, __m512i{});
      }
      continue;
    }
    bool both = i + 1 < b.block.rows;
    ChangeRow even(b, i, scale), odd(b, both ? i + 1 : i, scale);
    for (int64_t k = 0; k < b.block.padded; k += kDepth, at += next) {
      Changed e[2] = {even.at<4>(k), even.at<4>(k + kSide)}, o[2] = {};
      if (both) {
        o[0] = odd.at<4>(k);
        o[1] = odd.at<4>(k + kSide);
      }
      auto rows = [k](float* row) { return reinterpret_cast<uint16_t*>(row) + k; };
      _mm512_storeu_si512(rows(even.changes), round_both(e[0].changes, e[1].changes));
      if (both) _mm512_storeu_si512(rows(odd.changes), round_both(o[0].changes, o[1].changes));
      store_pair_tiles(weights + at, round_both(e[0].weights, o[0].weights),
                       round_both(e[1].weights, o[1].weights));
      store_pair_tiles(changes + at, round_both(e[0].changes, o[0].changes),
                       round_both(e[1].changes, o[1].changes));
    }
  }
}

// Left operands [32 columns][step of 32 rows][tile of 16 columns], the last tile alone if it is.
static void pack_column_tiles(void* to, const void* const* rows, int64_t count, int64_t columns) {
  auto tile = static_cast<char*>(to);
  for (int64_t j = 0; j < columns; j += 2 * kSide) {
    bool both = columns - j > kSide;
    for (int64_t k = 0; k < count; k += kDepth, tile += (1 + both) * kTile) {
      Vec<uint32_t> first[kSide], second[kSide];
#pragma GCC unroll 16
      for (int i = 0; i < kSide; ++i) {
        int64_t even = k + 2 * i, odd = even + 1;
        Pairs pairs = interleave(load_halves(even < count ? rows[even] : nullptr, j, columns),
                                 load_halves(odd < count ? rows[odd] : nullptr, j, columns));
        first[i] = reinterpret_cast<Vec<uint32_t>>(pairs.first);
        second[i] = reinterpret_cast<Vec<uint32_t>>(pairs.second);
      }
      store_transposed(first, tile);
      if (both) store_transposed(second, tile + kTile);
    }
  }
}

template <MultiplyTiles Multiply>
static void add_column_tiles(const ColumnProduct& p) {
  TileProduct t = {};
  t.steps = p.last - p.first;
  t.a = static_cast<const char*>(p.columns);
  t.a_stride = kAmxTileBytes;
  t.a_down = kTile;
  t.col_tiles = 2;
  t.c_stride = p.stride;
  t.accumulate = true;
  for (int64_t j = 0; j < p.count; j += 2 * kSide) {
    t.row_tiles = p.count - j > kSide ? 2 : 1;
    t.a_step = t.row_tiles * kTile;
    const char* columns = t.a;
    t.a += p.first * t.a_step;
    for (int64_t k = 0; k < p.keys; k += 2 * kSide) {
      t.b = static_cast<const char*>(p.pairs) + 2 * (k / kDepth * p.steps + p.first) * kTile;
      t.c = p.sums + j * p.stride + k;
      Multiply(t);
    }
    t.a = columns + p.steps * t.a_step;
  }
}

template <MultiplyTiles Multiply>
static constexpr BlockKernels tile_kernels(bool tiles) {
  BlockKernels kernels = {};
  kernels.rows = 2 * kSide;
  kernels.gradient_blocks = 8;
  kernels.pair_bytes = 2 * kTile;
  kernels.key_unit = kernels.depth_unit = kDepth;
  kernels.column_unit = kSide;
  kernels.size = 2;
  kernels.tiles = tiles;
  kernels.pack_queries = pack_query_tiles;
  kernels.pack_keys = pack_key_tiles;
  kernels.pack_lines = pack_line_tiles;
  kernels.score = score_tiles<Multiply>;
  kernels.advance = advance_halves;
  kernels.add_lines = add_line_tiles<Multiply>;
  kernels.rescale = rescale_rows;
  kernels.change = change_halves;
  kernels.pack_columns = pack_column_tiles;
  kernels.add_columns = add_column_tiles<Multiply>;
  return kernels;
}

}  // namespace simd

const BlockKernels& bf16_dot_block_kernels() {
  static constexpr BlockKernels kernels = simd::tile_kernels<simd::multiply_by_dots>(false);
  return kernels;
}

const BlockKernels& bf16_amx_block_kernels() {
  static constexpr BlockKernels kernels = simd::tile_kernels<simd::multiply_by_tiles>(true);
  return kernels;
}

#else

// Levels without the instructions have the widening kernels under these names too.
const BlockKernels& bf16_dot_block_kernels() { return float_block_kernels().bf16; }
const BlockKernels& bf16_amx_block_kernels() { return float_block_kernels().bf16; }

#endif

}  // namespace mlx::core::cpu::MLX_ISA
