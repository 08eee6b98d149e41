// The dot product of bytes: AVX512-VNNI multiplies unsigned bytes by signed ones, four to a sum, so
// codes of 4 and 8 bits need hardly any unpacking, and a rounded activation is two digits of a
// byte. Included only by rounded_vnni.isa.cpp.
#pragma once

#include "mlx/backend/cpu/quantized/rounded.h"

namespace mlx::core::cpu::MLX_ISA::simd {

// Codes of 4 or 8 bits, a vector of them at a time.
template <typename CodesType>
struct SplitDot {
  using Codes = CodesType;
  static constexpr int kParts = 8 / Codes::kBits;  // even and odd codes of 4 bits
  static constexpr int kVectorCodes = 64 * kParts;
  static_assert(kVectorCodes <= kSplitBlock);

  static inline void unpack(__m512i codes, __m512i (&to)[kParts]) {
    if constexpr (kParts == 1) {
      to[0] = codes;
    } else {
      __m512i mask = _mm512_set1_epi8(0xf);
      to[0] = _mm512_and_si512(codes, mask);
      to[1] = _mm512_and_si512(_mm512_srli_epi16(codes, 4), mask);
    }
  }
  // For each vector of codes the high digits of its activations, then the low ones.
  static inline Vec<float> multiply(const __m512i (&codes)[kParts], const int16_t* x) {
    __m512i sum = _mm512_setzero_si512();
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) {
      sum = _mm512_dpbusd_epi32(sum, codes[i], _mm512_loadu_si512(x + 64 * i));
    }
    sum = _mm512_slli_epi32(sum, 8);
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) {
      sum = _mm512_dpbusd_epi32(sum, codes[i], _mm512_loadu_si512(x + 64 * i + 32));
    }
    return __builtin_convertvector(reinterpret_cast<Vec<int32_t>>(sum), Vec<float>);
  }
};

// Entries [at, at + n) of scales or biases of affine mode, n <= 16, and zeros.
static inline Vec<float> load_entries(Scale scale, const void* from, int64_t at, int n) {
  switch (scale) {
    case Scale::bf16:
      return load_some<Element<Bf16, float>>(static_cast<const Bf16*>(from) + at, n);
    case Scale::f16:
      return load_some<Element<F16, float>>(static_cast<const F16*>(from) + at, n);
    default:
      return load_some<Element<float>>(static_cast<const float*>(from) + at, n);
  }
}

static inline void fetch_entries(Scale scale, const void* from, int64_t at) {
  int64_t size = scale == Scale::f32 ? 4 : 2;
  __builtin_prefetch(static_cast<const char*>(from) + at * size);
}

// Rows of x times rows of w, one of each stream.
template <typename Dot, int Rows, int Streams>
struct SplitTile {
  static constexpr int kLaneCodes = Dot::kVectorCodes / kLanes<float>;

  const FewRowsProduct& p;
  int row;                            // the first of x
  const uint8_t* codes[Streams];      // what comes next
  int64_t groups[Streams];            // where the scales of the streams' rows begin
  Vec<float> factors[Rows][Streams];  // scales of x times those of w
  Vec<float> totals[Rows][Streams];

  SplitTile(const FewRowsProduct& product, int first, int64_t col)
      : p(product), row(first), totals() {
    for (int c = 0; c < Streams; ++c) {
      codes[c] = p.w.codes + (col + c * p.apart) * p.w.row_bytes;
      groups[c] = (col + c * p.apart) * p.w.row_groups;
    }
  }

  // Those of groups [first, first + n), n <= 16, and what the biases add.
  inline void load_factors(int64_t first, int n) {
    int64_t ahead = kFetchAhead * 8 / Dot::Codes::kBits / p.w.group;
    const float* scales = p.x.scales + row * p.x.group_stride + first;
    const float* sums = p.x.sums + row * p.x.group_stride + first;
#pragma GCC unroll 4
    for (int c = 0; c < Streams; ++c) {
      int64_t at = groups[c] + first;
      Vec<float> scale = load_entries(p.w.scale, p.w.scales, at, n);
      fetch_entries(p.w.scale, p.w.scales, at + ahead);
      Vec<float> bias = {};
      if (p.w.biases) {
        bias = load_entries(p.w.scale, p.w.biases, at, n);
        fetch_entries(p.w.scale, p.w.biases, at + ahead);
      }
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        factors[r][c] = scale * load(scales + r * p.x.group_stride);
        totals[r][c] = fma<float>(bias, load(sums + r * p.x.group_stride), totals[r][c]);
      }
    }
  }

  // One vector of each stream, of which `mask` are bytes of the row; lanes are sums of neighbours.
  inline void add(const int16_t* x, __m512i group_of_lane, uint64_t mask) {
#pragma GCC unroll 4
    for (int c = 0; c < Streams; ++c) {
      __m512i parts[Dot::kParts];
      Dot::unpack(_mm512_maskz_loadu_epi8(mask, codes[c]), parts);
      fetch_ahead(codes[c] + kFetchAhead);
      codes[c] += 64;
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        Vec<float> factor = _mm512_maskz_permutexvar_ps(0xffff, group_of_lane, factors[r][c]);
        totals[r][c] = fma<float>(Dot::multiply(parts, x + r * p.x.stride), factor, totals[r][c]);
      }
    }
  }

  // The groups whose factors are loaded, from code k on.
  inline void add_codes(int64_t k, int64_t count) {
    constexpr auto lane = [] {
      struct {
        alignas(64) int32_t at[kLanes<float>];
      } first = {};
      for (int i = 0; i < kLanes<float>; ++i) first.at[i] = i * kLaneCodes;
      return first;
    }();
    const int16_t* x = p.x.codes + row * p.x.stride + k;
    __m512i at = _mm512_load_si512(lane.at);
    __m512i shift = _mm512_set1_epi32(__builtin_ctz(static_cast<unsigned>(p.w.group)));
    __m512i step = _mm512_set1_epi32(Dot::kVectorCodes);
    for (; count >= Dot::kVectorCodes; count -= Dot::kVectorCodes, x += Dot::kVectorCodes) {
      add(x, _mm512_maskz_srlv_epi32(0xffff, at, shift), ~uint64_t{0});
      at = _mm512_add_epi32(at, step);
    }
    if (count == 0) return;
    uint64_t mask = (uint64_t{1} << count * Dot::Codes::kBits / 8) - 1;
    add(x, _mm512_maskz_srlv_epi32(0xffff, at, shift), mask);
  }
};

// The product of `Rows` rows of x from `row` on with row `col` of w and those of the streams that
// follow.
template <typename Dot, int Rows, int Streams>
static void multiply_streams(const FewRowsProduct& p, int row, int64_t col) {
  constexpr int most = kLanes<float>;
  SplitTile<Dot, Rows, Streams> tile(p, row, col);
  int64_t groups = p.w.depth / p.w.group;
  for (int64_t first = 0; first < groups; first += most) {
    int n = groups - first < most ? static_cast<int>(groups - first) : most;
    tile.load_factors(first, n);
    tile.add_codes(first * p.w.group, int64_t{n} * p.w.group);
  }
  for (int r = 0; r < Rows; ++r) {
    float* to = p.sums + (row + r) * p.sums_stride + col;
    for (int c = 0; c < Streams; ++c) to[c * p.apart] = total(tile.totals[r][c]);
  }
}

// All rows of x, a few at a time, over the same rows of w, which stay in the first cache.
template <typename Dot, int Streams>
static void multiply_split_columns(const FewRowsProduct& p, int64_t col) {
  int r = 0;
  if constexpr (Streams <= 2) {
    for (; r + 4 <= p.rows; r += 4) multiply_streams<Dot, 4, Streams>(p, r, col);
  }
  for (; r + 2 <= p.rows; r += 2) multiply_streams<Dot, 2, Streams>(p, r, col);
  if (r < p.rows) multiply_streams<Dot, 1, Streams>(p, r, col);
}

template <typename Dot>
static void multiply_split_rows(const FewRowsProduct& p) {
  for (int64_t j = 0; j < p.count; ++j) {
    int c = 0;
    if (p.rows <= 2 && p.streams == 4) {
      multiply_split_columns<Dot, 4>(p, j);
      c = 4;
    }
    for (; c + 2 <= p.streams; c += 2) multiply_split_columns<Dot, 2>(p, j + c * p.apart);
    if (c < p.streams) multiply_split_columns<Dot, 1>(p, j + c * p.apart);
  }
}

static inline void store_bytes(int8_t* to, __m512i lanes) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_maskz_cvtepi32_epi8(0xffff, lanes));
}

// Rearranges rounded activations for SplitDot, in place, a block at a time: each is 256 times its
// high digit and the low one.
template <typename Codes>
static void split_activations(int16_t* codes, int64_t depth) {
  using Dot = SplitDot<Codes>;
  __m512i half = _mm512_set1_epi16(128);
  for (int64_t k = 0; k < depth; k += Dot::kVectorCodes) {
    int8_t digits[2 * Dot::kVectorCodes];
    for (int i = 0; i < Dot::kVectorCodes; i += 32) {
      __m512i low = _mm512_loadu_si512(codes + k + i);
      __m512i high = _mm512_srai_epi16(_mm512_add_epi16(low, half), 8);
      if constexpr (Dot::kParts == 1) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(digits + i),
                            _mm512_maskz_cvtepi16_epi8(~0u, high));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(digits + i + 64),
                            _mm512_maskz_cvtepi16_epi8(~0u, low));
      } else {
        store_bytes(digits + i / 2, high);
        store_bytes(digits + i / 2 + 64, low);
        store_bytes(digits + i / 2 + 128, _mm512_srli_epi32(high, 16));
        store_bytes(digits + i / 2 + 192, _mm512_srli_epi32(low, 16));
      }
    }
    __builtin_memcpy(codes + k, digits, sizeof digits);
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
