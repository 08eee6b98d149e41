// Blocks of codes into registers, for the quantised kernels: as integers or as floats, in the order
// of the codes. Included only by *.isa.cpp files.
#pragma once

#include "mlx/backend/cpu/gemm/simd.h"
#include "mlx/backend/cpu/quantized/kernels.h"

namespace mlx::core::cpu::MLX_ISA::simd {

using Shorts = Vec<int16_t>;
constexpr int kShorts = kLanes<int16_t>;
constexpr int kParts = kCodeBlock / kShorts;             // vectors of integers in a block
constexpr int kFloatParts = kCodeBlock / kLanes<float>;  // vectors of floats in a block

// 16 bytes for each half of a vector (each quarter, each vector) of shorts.
#if defined(__AVX512F__)
static inline __m512i spread_halves(__m128i first, __m128i second) {
  __m512i wide = _mm512_castsi256_si512(_mm256_broadcastsi128_si256(first));
  return _mm512_inserti64x4(wide, _mm256_broadcastsi128_si256(second), 1);
}
#endif

// The block of 32 codes of `Bits` bits each is 4 * Bits bytes. Where the 16 bytes lie that hold all
// of one half of it.
template <int Bits>
constexpr int piece_begin(int half) {
  return half == 0 || Bits < 4 ? 0 : 4 * Bits - 16;
}

template <int Bits>
static inline __m128i load_piece(const uint8_t* p, int half) {
  if constexpr (Bits == 1) {
    int bytes;
    __builtin_memcpy(&bytes, p, 4);
    return _mm_cvtsi32_si128(bytes);
  } else if constexpr (Bits == 2) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  } else if constexpr (Bits == 3) {
    int last;
    __builtin_memcpy(&last, p + 8, 4);
    return _mm_insert_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)), last, 2);
  } else {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + piece_begin<Bits>(half)));
  }
}

// Which bytes of the piece hold a code, and the factor that shifts the code to the top of 16 bits.
template <int Bits>
struct Places {
  alignas(64) uint8_t bytes[2 * kCodeBlock];
  alignas(64) uint16_t factors[kCodeBlock];

  constexpr Places() : bytes(), factors() {
    for (int i = 0; i < kCodeBlock; ++i) {
      int bit = i * Bits, shift = bit % 8;
      int at = bit / 8 - piece_begin<Bits>(i / 16);
      bytes[2 * i] = static_cast<uint8_t>(at);
      bytes[2 * i + 1] = static_cast<uint8_t>(shift + Bits > 8 ? at + 1 : 0x80);
      factors[i] = static_cast<uint16_t>(1 << (16 - Bits - shift));
    }
  }
};

template <int Bits>
static constexpr Places<Bits> places{};

static inline Shorts pick_bytes(Shorts from, Shorts bytes) {
#if defined(__AVX512F__)
  return reinterpret_cast<Shorts>(
      _mm512_shuffle_epi8(reinterpret_cast<__m512i>(from), reinterpret_cast<__m512i>(bytes)));
#elif defined(__AVX2__)
  return reinterpret_cast<Shorts>(
      _mm256_shuffle_epi8(reinterpret_cast<__m256i>(from), reinterpret_cast<__m256i>(bytes)));
#else
  return reinterpret_cast<Shorts>(
      _mm_shuffle_epi8(reinterpret_cast<__m128i>(from), reinterpret_cast<__m128i>(bytes)));
#endif
}

// Bytes as shorts.
static inline Shorts widen_bytes(const uint8_t* p) {
#if defined(__AVX512F__)
  __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return reinterpret_cast<Shorts>(_mm512_cvtepu8_epi16(bytes));
#elif defined(__AVX2__)
  __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return reinterpret_cast<Shorts>(_mm256_cvtepu8_epi16(bytes));
#else
  __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return reinterpret_cast<Shorts>(_mm_cvtepu8_epi16(bytes));
#endif
}

static inline Shorts logical_shift(Shorts v, int count) {
  return reinterpret_cast<Shorts>(reinterpret_cast<Vec<uint16_t>>(v) >> count);
}

// The codes of a block, each in the top bits of its lane.
template <int Bits>
static inline void raise_codes(const uint8_t* p, Shorts (&to)[kParts]) {
#pragma GCC unroll 4
  for (int i = 0; i < kParts; ++i) {
#if defined(__AVX512F__)
    Shorts piece =
        reinterpret_cast<Shorts>(spread_halves(load_piece<Bits>(p, 0), load_piece<Bits>(p, 1)));
#elif defined(__AVX2__)
    Shorts piece = reinterpret_cast<Shorts>(_mm256_broadcastsi128_si256(load_piece<Bits>(p, i)));
#else
    Shorts piece = reinterpret_cast<Shorts>(load_piece<Bits>(p, i / 2));
#endif
    auto bytes = reinterpret_cast<const int16_t*>(places<Bits>.bytes) + i * kShorts;
    auto factors = reinterpret_cast<const int16_t*>(places<Bits>.factors) + i * kShorts;
    auto picked = reinterpret_cast<Vec<uint16_t>>(pick_bytes(piece, load(bytes)));  // products wrap
    to[i] = reinterpret_cast<Shorts>(picked * reinterpret_cast<Vec<uint16_t>>(load(factors)));
  }
}

// Even codes of a block of 4-bit codes, then the odd ones: two shifts in place of shuffles. The
// code is left in bits `Low` to `Low` + 3.
template <int Low>
static inline void pair_codes(const uint8_t* p, Shorts (&to)[kParts]) {
  Shorts mask = splat<int16_t>(0xf << Low);
#if defined(__AVX512F__)
  __m256i bytes = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  __m256i odd = _mm256_srli_epi16(bytes, 4);
  auto both = reinterpret_cast<Shorts>(_mm512_inserti64x4(_mm512_castsi256_si512(bytes), odd, 1));
  to[0] = (both << Low) & mask;
#else
#pragma GCC unroll 2
  for (int i = 0; i < kParts / 2; ++i) {
    Shorts bytes = widen_bytes(p + i * kShorts);
    to[i] = (bytes << Low) & mask;
    to[i + kParts / 2] = Low == 0 ? logical_shift(bytes, 4) : (bytes << (Low - 4)) & mask;
  }
#endif
}

template <int Bits>
struct Unsigned {
  static constexpr bool kIntegers = true;
  static constexpr bool kPaired = Bits == 4;
  static constexpr int kBits = Bits;
  static constexpr float kUnit = 1;

  static inline void unpack(const uint8_t* p, Shorts (&to)[kParts]) {
    if constexpr (Bits == 8) {
#pragma GCC unroll 4
      for (int i = 0; i < kParts; ++i) to[i] = widen_bytes(p + i * kShorts);
    } else {
      raise_codes<Bits>(p, to);
#pragma GCC unroll 4
      for (int i = 0; i < kParts; ++i) to[i] = logical_shift(to[i], 16 - Bits);
    }
  }
  static inline void unpack_paired(const uint8_t* p, Shorts (&to)[kParts]) { pair_codes<0>(p, to); }
};

// Floats of one sign, two exponent and one mantissa bit: 512 times their value as integers.
struct E2m1 {
  static constexpr bool kIntegers = true;
  static constexpr bool kPaired = true;
  static constexpr int kBits = 4;
  static constexpr float kUnit = 1.0f / 512;

  // The code is in the low bits of the high byte of each lane; low bytes are zero, and so is what
  // they pick.
  static inline Shorts values(Shorts codes) {
    static constexpr int8_t doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(doubled));
#if defined(__AVX512F__)
    return pick_bytes(reinterpret_cast<Shorts>(spread_halves(table, table)), codes);
#elif defined(__AVX2__)
    return pick_bytes(reinterpret_cast<Shorts>(_mm256_broadcastsi128_si256(table)), codes);
#else
    return pick_bytes(reinterpret_cast<Shorts>(table), codes);
#endif
  }
  static inline void unpack(const uint8_t* p, Shorts (&to)[kParts]) {
    raise_codes<4>(p, to);
#pragma GCC unroll 4
    for (int i = 0; i < kParts; ++i) to[i] = values(logical_shift(to[i], 12) << 8);
  }
  // Bits 15 are the signs.
  static inline void unpack_signs(const uint8_t* p, Shorts (&to)[kParts]) { raise_codes<4>(p, to); }
  static inline void unpack_paired(const uint8_t* p, Shorts (&to)[kParts]) {
    pair_codes<8>(p, to);
#pragma GCC unroll 4
    for (int i = 0; i < kParts; ++i) to[i] = values(to[i]);
  }
};

// Floats of four exponent and three mantissa bits: those of half floats, but for 2^8.
struct E4m3 {
  static constexpr bool kIntegers = false;
  static constexpr bool kPaired = false;
  static constexpr int kBits = 8;
  static constexpr float kUnit = 1;

  static inline Vec<int32_t> widen(const uint8_t* p) {
#if defined(__AVX512F__)
    return reinterpret_cast<Vec<int32_t>>(
        _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(__AVX2__)
    return reinterpret_cast<Vec<int32_t>>(
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
    int bytes;
    __builtin_memcpy(&bytes, p, 4);
    return reinterpret_cast<Vec<int32_t>>(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes)));
#endif
  }
  // Of the exponent and mantissa: those below 8 are multiples of the smallest number, others have
  // their exponent moved.
  static inline Vec<float> values(Vec<int32_t> codes) {
    Vec<int32_t> size = codes & 0x7f;
    Vec<float> small = __builtin_convertvector(size, Vec<float>) * 0x1p-9f;
    Vec<int32_t> bits = (size << 20) + (120 << 23);
    bits = size < 8 ? reinterpret_cast<Vec<int32_t>>(small) : bits;
    Vec<int32_t> none = (size == 0x7f) & 0x7fc00000;
    return reinterpret_cast<Vec<float>>(bits | ((codes & 0x80) << 24) | none);
  }
  static inline void unpack_floats(const uint8_t* p, Vec<float> (&to)[kFloatParts]) {
#if defined(__F16C__)
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) {
      Shorts codes = widen_bytes(p + i * kShorts);
      Shorts halves = ((codes << 8) >> 1) & static_cast<int16_t>(0xbf80);
      Shorts none = ((codes & 0x7f) == 0x7f) & 0x7e00;
      widen_halves(halves | none, to[2 * i], to[2 * i + 1]);
    }
#else
#pragma GCC unroll 8
    for (int i = 0; i < kFloatParts; ++i) to[i] = values(widen(p + i * kLanes<float>));
#endif
  }

 private:
#if defined(__F16C__)
  static inline void widen_halves(Shorts v, Vec<float>& first, Vec<float>& second) {
#if defined(__AVX512F__)
    auto wide = reinterpret_cast<__m512i>(v);
    first = _mm512_cvtph_ps(_mm512_castsi512_si256(wide));
    second = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(wide, 1));
#else
    auto wide = reinterpret_cast<__m256i>(v);
    first = _mm256_cvtph_ps(_mm256_castsi256_si128(wide));
    second = _mm256_cvtph_ps(_mm256_extracti128_si256(wide, 1));
#endif
    first *= 0x1p8f;
    second *= 0x1p8f;
  }
#endif
};

// Two vectors of floats from one of shorts.
static inline void widen_shorts(Shorts v, Vec<float>& first, Vec<float>& second) {
#if defined(__AVX512F__)
  auto wide = reinterpret_cast<__m512i>(v);
  first = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_castsi512_si256(wide)));
  second = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(wide, 1)));
#elif defined(__AVX2__)
  auto wide = reinterpret_cast<__m256i>(v);
  first = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(wide)));
  second = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_extracti128_si256(wide, 1)));
#else
  auto wide = reinterpret_cast<__m128i>(v);
  first = _mm_cvtepi32_ps(_mm_cvtepi16_epi32(wide));
  second = _mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpackhi_epi16(wide, wide), 16));
#endif
}

template <typename Codes>
static inline void unpack_floats(const uint8_t* p, Vec<float> (&to)[kFloatParts]) {
  if constexpr (Codes::kIntegers) {
    Shorts codes[kParts];
    Codes::unpack(p, codes);
#pragma GCC unroll 4
    for (int i = 0; i < kParts; ++i) widen_shorts(codes[i], to[2 * i], to[2 * i + 1]);
  } else {
    Codes::unpack_floats(p, to);
  }
}

// The block at p, of which `left` codes belong to the row: a copy with zeros if they end within it.
template <typename Codes>
static inline const uint8_t* whole_block(const uint8_t* p, int64_t left,
                                         uint8_t (&copy)[kCodeBlock]) {
  if (left >= kCodeBlock) return p;
  __builtin_memset(copy, 0, kCodeBlock);
  __builtin_memcpy(copy, p, static_cast<size_t>(left * Codes::kBits / 8));
  return copy;
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
