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
  using X = int16_t;
  static constexpr int kParts = 8 / Codes::kBits;  // even and odd codes of 4 bits
  static constexpr int kVectorCodes = 64 * kParts;
  static_assert(kVectorCodes <= kSplitBlock);

  static inline const int16_t* activations(const Activations& x) { return x.codes; }

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
    __m512i high = _mm512_setzero_si512(), low = high;
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) {
      high = _mm512_dpbusd_epi32(high, codes[i], _mm512_loadu_si512(x + 64 * i));
      low = _mm512_dpbusd_epi32(low, codes[i], _mm512_loadu_si512(x + 64 * i + 32));
    }
    auto sum = reinterpret_cast<Vec<int32_t>>(_mm512_add_epi32(_mm512_slli_epi32(high, 8), low));
    return __builtin_convertvector(sum, Vec<float>);
  }
};

// Bytes from what is multiplied to what is fetched from memory: rows follow each other.
constexpr int kFetchAhead = 2048;

// One vector of codes times those of all rows of x; lanes are sums of neighbours, each scaled by
// its group.
template <typename Dot, int Cols, int Rows>
static inline void add_vector(__m512i codes, const int16_t* x, int64_t stride, const float* scales,
                              __m512i group_of_lane, Vec<float> (&sums)[Rows]) {
  __m512i parts[Dot::kParts];
  Dot::unpack(codes, parts);
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) {
    Vec<float> factors = load(scales + r * Cols * kFactors);
    factors = _mm512_maskz_permutexvar_ps(0xffff, group_of_lane, factors);
    sums[r] = fma<float>(Dot::multiply(parts, x + r * stride), factors, sums[r]);
  }
}

// `n` groups, one row of w after the other.
template <typename Dot, int Rows, int Cols>
static inline void add_vectors(const FewRowsProduct& p, const uint8_t* codes, const int16_t* x,
                               int n, const Factors& factors, Vec<float> (&totals)[Rows][Cols]) {
  const int lane_codes = Dot::kVectorCodes / kLanes<float>;
  alignas(64) int32_t groups[kLanes<float>];
  for (int i = 0; i < kLanes<float>; ++i) groups[i] = i * lane_codes / p.w.group;
  const __m512i group_of_lane = _mm512_load_si512(groups);
  const int shift = __builtin_ctz(static_cast<unsigned>(p.w.group));
  const int64_t depth = int64_t{n} * p.w.group, whole = depth & -int64_t{Dot::kVectorCodes};
  const auto rest = static_cast<unsigned>((depth - whole) * Dot::Codes::kBits / 8);
  for (int c = 0; c < Cols; ++c) {
    const uint8_t* from = codes + c * p.w.row_bytes;
    Vec<float> sums[Rows] = {};
    for (int64_t k = 0; k < whole; k += Dot::kVectorCodes, from += 64) {
      __builtin_prefetch(from + kFetchAhead);
      add_vector<Dot, Cols>(_mm512_loadu_si512(from), x + k, p.x.stride,
                            factors.scales[c] + (k >> shift), group_of_lane, sums);
    }
    if (rest) {
      __m512i last = _mm512_maskz_loadu_epi8((uint64_t{1} << rest) - 1, from);
      add_vector<Dot, Cols>(last, x + whole, p.x.stride, factors.scales[c] + (whole >> shift),
                            group_of_lane, sums);
    }
    for (int r = 0; r < Rows; ++r) totals[r][c] += sums[r];
  }
}

// Rearranges rounded activations for SplitDot, in place, a block at a time.
template <typename Codes>
static void split_activations(int16_t* codes, int64_t depth) {
  using Dot = SplitDot<Codes>;
  for (int64_t k = 0; k < depth; k += Dot::kVectorCodes) {
    int8_t digits[2 * Dot::kVectorCodes];
    for (int part = 0; part < Dot::kParts; ++part) {
      int8_t* high = digits + 128 * part;
      for (int i = 0; i < 64; ++i) {
        int16_t code = codes[k + i * Dot::kParts + part];
        auto low = static_cast<int8_t>(code);
        high[i] = static_cast<int8_t>((code - low) >> 8);
        high[i + 64] = low;
      }
    }
    __builtin_memcpy(codes + k, digits, sizeof digits);
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
