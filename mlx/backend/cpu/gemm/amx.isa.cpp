// Gemm kernels of bf16 on AMX. A step of a panel is 32 of the depth: of A rows of 64 bytes, width
// to whole tiles, of B tiles of 16 pairs of the depth by 16 columns. Up to two tiles by two are
// multiplied at a time, which leaves a tile for each operand.
#if defined(__AVX512F__)
#pragma GCC target("amx-tile,amx-bf16,avx512bf16")
#endif

#include "mlx/backend/cpu/runtime/amx.h"
#include "mlx/backend/cpu/gemm/plain_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

#if defined(__AVX512F__)

namespace simd {

constexpr int kDepth = 32, kSide = kAmxTileRows;
constexpr int kTile = kAmxTileRows * kAmxTileBytes;
constexpr int kMostRows = 2 * kSide;

static inline char* tile_of(void* panel, int width, int64_t step, int w) {
  return static_cast<char*>(panel) + step * width * kAmxTileBytes + w / kSide * kTile;
}

static inline __mmask32 first_halves(int64_t n) {
  return n >= 32 ? ~__mmask32{0} : n > 0 ? (__mmask32{1} << n) - 1 : 0;
}

static inline __m512i load_halves(const uint16_t* p, __mmask32 mask) {
  return _mm512_maskz_loadu_epi16(mask, p);
}

// Sixteen vectors of pairs, transposed into a tile.
static inline void store_transposed(Vec<uint32_t> (&t)[kSide], char* tile) {
  transpose<uint32_t>(t);
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) {
    store<uint32_t>(reinterpret_cast<uint32_t*>(tile + i * kAmxTileBytes), t[i]);
  }
}

// Rows of A as they are.
static void copy_rows(void* panel, int width, const void* const* rows, int count, int64_t depth) {
  for (int r = 0; r < width; ++r) {
    auto from = static_cast<const uint16_t*>(r < count ? rows[r] : nullptr);
    char* to = static_cast<char*>(panel) + r * kAmxTileBytes;
    for (int64_t k = 0; k < depth; k += kDepth, to += width * kAmxTileBytes) {
      __m512i v = from ? load_halves(from + k, first_halves(depth - k)) : _mm512_setzero_si512();
      _mm512_store_si512(to, v);
    }
  }
}

// Rows of B: a tile is the transpose of 16 rows of pairs.
static void transpose_rows(void* panel, int width, const void* const* rows, int count,
                           int64_t depth) {
  for (int w = 0; w < width; w += kSide) {
    for (int64_t k = 0; k < depth; k += kDepth) {
      __mmask32 mask = first_halves(depth - k);
      Vec<uint32_t> t[kSide];
#pragma GCC unroll 16
      for (int i = 0; i < kSide; ++i) {
        t[i] = w + i < count ? reinterpret_cast<Vec<uint32_t>>(
                                   load_halves(static_cast<const uint16_t*>(rows[w + i]) + k, mask))
                             : Vec<uint32_t>{};
      }
      store_transposed(t, tile_of(panel, width, k / kDepth, w));
    }
  }
}

// Two lines of 32 values become pairs, those of the first 16 columns and those of the others.
struct Pairs {
  __m512i first, second;
};

static inline Pairs interleave(__m512i even, __m512i odd) {
  static constexpr auto index = [](int first) {
    struct {
      alignas(64) uint16_t at[32];
    } order = {};
    for (int i = 0; i < 32; ++i) {
      order.at[i] = static_cast<uint16_t>(first + i / 2 + i % 2 * 32);
    }
    return order;
  };
  static constexpr auto low = index(0), high = index(16);
  return {_mm512_permutex2var_epi16(even, _mm512_load_si512(low.at), odd),
          _mm512_permutex2var_epi16(even, _mm512_load_si512(high.at), odd)};
}

static inline Pairs load_pairs(const void* const* lines, int64_t k, int64_t depth, int w,
                               __mmask32 mask) {
  auto line = [&](int64_t i) {
    return i < depth ? load_halves(static_cast<const uint16_t*>(lines[i]) + w, mask)
                     : _mm512_setzero_si512();
  };
  return interleave(line(k), line(k + 1));
}

// Lines of B: pairs lie as tiles want them.
static void pair_lines(void* panel, int width, const void* const* lines, int count, int64_t depth) {
  int64_t whole = (depth + kDepth - 1) / kDepth * kDepth;
  __mmask32 mask = first_halves(count);
  for (int64_t k = 0; k < whole; k += 2) {
    Pairs pairs = load_pairs(lines, k, depth, 0, mask);
    char* to = tile_of(panel, width, k / kDepth, 0) + k % kDepth / 2 * kAmxTileBytes;
    _mm512_store_si512(to, pairs.first);
    if (width > kSide) _mm512_store_si512(to + kTile, pairs.second);
  }
}

// Lines of A: pairs are transposed into rows.
static void transpose_lines(void* panel, int width, const void* const* lines, int count,
                            int64_t depth) {
  __mmask32 mask = first_halves(count);
  for (int64_t k = 0; k < depth; k += kDepth) {
    Vec<uint32_t> first[kSide], second[kSide];
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) {
      Pairs pairs = load_pairs(lines, k + 2 * i, depth, 0, mask);
      first[i] = reinterpret_cast<Vec<uint32_t>>(pairs.first);
      second[i] = reinterpret_cast<Vec<uint32_t>>(pairs.second);
    }
    store_transposed(first, tile_of(panel, width, k / kDepth, 0));
    if (width > kSide) store_transposed(second, tile_of(panel, width, k / kDepth, kSide));
  }
}

// Any strides, one value at a time; `rows` tells which of the two layouts.
template <bool Rows>
static void pack_halves(void* panel, int width, const void* source, int64_t width_stride,
                        int64_t depth_stride, int count, int64_t depth) {
  for (int64_t k = 0; k < depth; k += kDepth) {
    for (int w = 0; w < width; ++w) {
      auto tile = reinterpret_cast<uint16_t*>(tile_of(panel, width, k / kDepth, w));
      auto from = static_cast<const uint16_t*>(source) + w * width_stride;
      for (int i = 0; i < kDepth; ++i) {
        int at = Rows ? w % kSide * kDepth + i : i / 2 * kDepth + w % kSide * 2 + i % 2;
        tile[at] = w < count && k + i < depth ? from[(k + i) * depth_stride] : 0;
      }
    }
  }
}

template <int RowTiles, int ColTiles>
static inline void load_sums(const char* c, int64_t stride) {
  int64_t down = kSide * stride;
  _tile_loadd(0, c, stride);
  if constexpr (ColTiles == 2) _tile_loadd(1, c + kAmxTileBytes, stride);
  if constexpr (RowTiles == 2) _tile_loadd(2, c + down, stride);
  if constexpr (RowTiles == 2 && ColTiles == 2) _tile_loadd(3, c + down + kAmxTileBytes, stride);
}

template <int RowTiles, int ColTiles>
static inline void store_sums(char* c, int64_t stride) {
  int64_t down = kSide * stride;
  _tile_stored(0, c, stride);
  if constexpr (ColTiles == 2) _tile_stored(1, c + kAmxTileBytes, stride);
  if constexpr (RowTiles == 2) _tile_stored(2, c + down, stride);
  if constexpr (RowTiles == 2 && ColTiles == 2) _tile_stored(3, c + down + kAmxTileBytes, stride);
}

static inline void clear_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

template <int RowTiles, int ColTiles>
static void multiply_tiles(int64_t steps, const void* a_panel, const void* b_panel, void* c_tile,
                           int64_t ldc, bool accumulate) {
  auto a = static_cast<const char*>(a_panel), b = static_cast<const char*>(b_panel);
  auto c = static_cast<char*>(c_tile);
  int64_t stride = ldc * static_cast<int64_t>(sizeof(float));
  if (accumulate) {
    load_sums<RowTiles, ColTiles>(c, stride);
  } else {
    clear_sums();
  }
  for (int64_t k = 0; k < steps; ++k, a += RowTiles * kTile, b += ColTiles * kTile) {
    _tile_loadd(6, b, kAmxTileBytes);
    _tile_loadd(4, a, kAmxTileBytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (ColTiles == 2) {
      _tile_loadd(7, b + kTile, kAmxTileBytes);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (RowTiles == 2) {
      _tile_loadd(5, a + kTile, kAmxTileBytes);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (ColTiles == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  store_sums<RowTiles, ColTiles>(c, stride);
}

// Whole tiles that are just rounded: two vectors become one.
static void write_tiles(const TileWrite& t) {
  if (t.cols != 2 * kSide || t.c || t.alpha != 1 || t.col_stride != 1) {
    return write_tile<Element<Bf16, float>, Bf16>(t);
  }
  for (int64_t i = 0; i < t.rows; ++i) {
    auto sums = static_cast<const float*>(t.sums) + i * t.sums_stride;
    auto out =
        static_cast<uint16_t*>(t.out) + (t.row_offsets ? t.row_offsets[i] : i * t.row_stride);
    __m512bh rounded = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(sums + kSide), _mm512_loadu_ps(sums));
    _mm512_storeu_si512(out, reinterpret_cast<__m512i>(rounded));
  }
}

struct TileTable {
  MicroKernel kernels[2 * kMostRows];
};

static constexpr TileTable tile_table() {
  TileTable table = {};
  for (int r = 0; r < kMostRows; ++r) {
    table.kernels[r] = r < kSide ? multiply_tiles<1, 1> : multiply_tiles<2, 1>;
    table.kernels[kMostRows + r] = r < kSide ? multiply_tiles<1, 2> : multiply_tiles<2, 2>;
  }
  return table;
}

static constexpr TileTable tiles = tile_table();

static constexpr GemmKernels tile_kernels() {
  GemmKernels kernels = plain_kernels<Bf16, float>();
  kernels.rows = kMostRows;
  kernels.row_unit = kSide;
  kernels.lanes = kSide;
  kernels.unit = kDepth;
  kernels.packed_size = kAmxTileBytes;
  kernels.tiles = true;
  kernels.micro = tiles.kernels;
  kernels.pack_rows = transpose_rows;
  kernels.pack_lines = pair_lines;
  kernels.pack_across = nullptr;
  kernels.pack_strided = pack_halves<false>;
  kernels.write = write_tiles;
  return kernels;
}

static constexpr GemmKernels left_kernels() {
  GemmKernels kernels = tile_kernels();
  kernels.pack_rows = copy_rows;
  kernels.pack_lines = transpose_lines;
  kernels.pack_strided = pack_halves<true>;
  return kernels;
}

static constexpr GemmKernels left_table = left_kernels();

}  // namespace simd

const GemmKernels& bf16_amx_gemm_kernels() {
  static constexpr GemmKernels table = [] {
    GemmKernels kernels = simd::tile_kernels();
    kernels.left = &simd::left_table;
    return kernels;
  }();
  return table;
}

#else

// Levels without the instruction have the widening kernels under this name too.
const GemmKernels& bf16_amx_gemm_kernels() { return real_gemm_kernels().bf16; }

#endif

}  // namespace mlx::core::cpu::MLX_ISA
