// Panels of AMX tiles from rows of codes: 16 rows of bytes are transposed, so that a vector is one
// step of the depth, and become values there. Included only by tiles.isa.cpp, for AVX-512.
#pragma once

#include "mlx/backend/cpu/gemm/pack.h"
#include "mlx/backend/cpu/quantized/scales.h"
#include "mlx/backend/cpu/runtime/amx.h"

namespace mlx::core::cpu::MLX_ISA::simd {

constexpr int kSide = kAmxTileRows;
constexpr int kTileWords = kAmxTileRows * kAmxTileBytes / 4;

// Bytes of `kDepth` steps of a tile, a row after the other, each of 16 columns.
struct TileBytes {
  alignas(64) uint8_t at[kCodeBlock * kSide];
};

// 16 bytes of each of 16 rows: to[16 * i + r] is byte i of row r.
static inline void transpose_bytes(const uint8_t* const (&rows)[kSide], int64_t offset,
                                   uint8_t* to) {
  __m512i quarters[4];  // rows i, i + 4, i + 8, i + 12
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    auto piece = [&](int r) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[r] + offset));
    };
    __m512i v = _mm512_castsi128_si512(piece(i));
    v = _mm512_inserti32x4(v, piece(i + 4), 1);
    v = _mm512_inserti32x4(v, piece(i + 8), 2);
    quarters[i] = _mm512_inserti32x4(v, piece(i + 12), 3);
  }
  __m512i a = _mm512_unpacklo_epi8(quarters[0], quarters[1]);
  __m512i b = _mm512_unpackhi_epi8(quarters[0], quarters[1]);
  __m512i c = _mm512_unpacklo_epi8(quarters[2], quarters[3]);
  __m512i d = _mm512_unpackhi_epi8(quarters[2], quarters[3]);
  __m512i words[4] = {_mm512_unpacklo_epi16(a, c), _mm512_unpackhi_epi16(a, c),
                      _mm512_unpacklo_epi16(b, d), _mm512_unpackhi_epi16(b, d)};
  __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    _mm512_store_si512(to + 64 * i, _mm512_maskz_permutexvar_epi32(0xffff, order, words[i]));
  }
}

// How codes become bytes, and pairs of neighbours along the depth two vectors of values. Codes of
// 4 bits are taken two to a byte, others one.
template <typename Codes>
struct TileCodes {
  static constexpr int kRowBytes = Codes::kBits == 8 ? kCodeBlock : 4 * Codes::kBits;
  static constexpr bool kStaged = Codes::kBits != 8;

  static inline void stage(const uint8_t* block, uint8_t* to) {
    Shorts codes[kParts];
    Codes::unpack(block, codes);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm512_maskz_cvtepi16_epi8(~0u, reinterpret_cast<__m512i>(codes[0])));
  }
  static inline void values(const TileBytes& bytes, int i, Vec<float>& even, Vec<float>& odd) {
    even = value(E4m3::widen(bytes.at + 2 * i * kSide));
    odd = value(E4m3::widen(bytes.at + (2 * i + 1) * kSide));
  }

 private:
  static inline Vec<float> value(Vec<int32_t> codes) {
    if constexpr (Codes::kIntegers) {
      return __builtin_convertvector(codes, Vec<float>);
    } else {
      return E4m3::values(codes);
    }
  }
};

template <typename Codes>
requires(Codes::kBits == 4) struct TileCodes<Codes> {
  static constexpr int kRowBytes = kSide;
  static constexpr bool kStaged = false;

  static inline void values(const TileBytes& bytes, int i, Vec<float>& even, Vec<float>& odd) {
    constexpr bool integers = Codes::kUnit == 1;
    Vec<float> table = integers
                           ? Vec<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
                           : Vec<float>{0,     0.5f,  1,     1.5f,  2,     3,     4,     6,
                                        -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
    auto pairs = reinterpret_cast<__m512i>(E4m3::widen(bytes.at + i * kSide));
    even = _mm512_maskz_permutexvar_ps(0xffff, pairs, table);  // by the low four bits
    odd = _mm512_maskz_permutexvar_ps(0xffff, _mm512_srli_epi32(pairs, 4), table);
  }
};

// Two vectors as pairs of bf16, the first in the low halves.
static inline Vec<uint32_t> round_pairs(Vec<float> even, Vec<float> odd) {
  Vec<uint32_t> low = reinterpret_cast<Vec<uint32_t>>(even) + 0x8000;
  Vec<uint32_t> high = reinterpret_cast<Vec<uint32_t>>(odd) + 0x8000;
  return low >> 16 | (high & 0xffff0000);
}

// Scales and biases of up to 16 groups, by group and column; zeros where there are none.
struct TileFactors {
  alignas(64) float scales[kSide][kSide];
  alignas(64) float biases[kSide][kSide];
};

static inline void load_transposed(Scale scale, const void* from, int64_t at, int64_t row_groups,
                                   int count, int n, float (&to)[kSide][kSide]) {
  Vec<uint32_t> t[kSide];
  for (int c = 0; c < kSide; ++c) {
    alignas(64) float entries[kSide + kGroupPadding] = {};
    if (c < count) load_scales(scale, from, at + c * row_groups, n, entries);
    for (int i = n; i < kSide; ++i) entries[i] = 0;
    t[c] = reinterpret_cast<Vec<uint32_t>>(load(entries));
  }
  transpose<uint32_t>(t);
  for (int i = 0; i < kSide; ++i) store<float>(to[i], reinterpret_cast<Vec<float>>(t[i]));
}

static inline void load_tile_factors(const QuantizedRows& w, int64_t row, int count, int64_t first,
                                     TileFactors& to) {
  int64_t at = row * w.row_groups + first, left = w.depth / w.group - first;
  int n = left < kSide ? static_cast<int>(left) : kSide;
  load_transposed(w.scale, w.scales, at, w.row_groups, count, n, to.scales);
  if (w.biases) {
    load_transposed(w.scale, w.biases, at, w.row_groups, count, n, to.biases);
  } else {
    __builtin_memset(to.biases, 0, sizeof to.biases);
  }
}

// One tile: 32 codes from code k on of `count` rows of w.
template <typename Codes>
static inline void load_tile_bytes(const QuantizedRows& w, int64_t row, int count, int64_t k,
                                   TileBytes& to) {
  using Tile = TileCodes<Codes>;
  static const uint8_t zeros[kCodeBlock] = {};
  uint8_t copies[kSide][kCodeBlock], staged[kSide][kCodeBlock];
  const uint8_t* rows[kSide];
  for (int c = 0; c < kSide; ++c) {
    if (c >= count) {
      rows[c] = zeros;
      continue;
    }
    const uint8_t* block = w.codes + (row + c) * w.row_bytes + k * Codes::kBits / 8;
    rows[c] = whole_block<Codes>(block, w.depth - k, copies[c]);
    if constexpr (Tile::kStaged) {
      Tile::stage(rows[c], staged[c]);
      rows[c] = staged[c];
    }
  }
  transpose_bytes(rows, 0, to.at);
  if constexpr (Codes::kBits != 4) transpose_bytes(rows, kSide, to.at + kSide * kSide);
}

template <typename Codes>
static void pack_tiles(void* panel, int width, const QuantizedRows& w, int count, int64_t begin,
                       int64_t depth) {
  auto to = static_cast<uint32_t*>(panel);
  int shift = __builtin_ctz(static_cast<unsigned>(w.group));
  for (int row = 0; row < width; row += kSide, to += kTileWords) {
    TileFactors factors;
    int64_t first = -kSide;  // group whose factors are there
    for (int64_t k = 0; k < depth; k += kCodeBlock) {
      TileBytes bytes;
      load_tile_bytes<Codes>(w, row, count - row, begin + k, bytes);
      // The last group of a tile is at most the next of the first.
      if (((begin + k + kCodeBlock - 1) >> shift) >= first + kSide) {
        first = (begin + k) >> shift;
        load_tile_factors(w, row, count - row, first, factors);
      }
      uint32_t* tile = to + k / kCodeBlock * (width / kSide) * kTileWords;
#pragma GCC unroll 4
      for (int i = 0; i < kSide; ++i) {
        int64_t group = ((begin + k + 2 * i) >> shift) - first;
        Vec<float> scale = load(factors.scales[group]), bias = load(factors.biases[group]);
        Vec<float> even, odd;
        TileCodes<Codes>::values(bytes, i, even, odd);
        store<uint32_t>(tile + i * kSide,
                        round_pairs(fma<float>(even, scale, bias), fma<float>(odd, scale, bias)));
      }
    }
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
