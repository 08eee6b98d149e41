// How elements of every type enter and leave registers: widened to the type they are computed in at
// load, rounded at store. Included only by *.isa.cpp files.
#pragma once

#include "mlx/backend/cpu/gemm/simd.h"

namespace mlx::core::cpu::MLX_ISA::simd {

struct F16 {
  uint16_t bits;
};
struct Bf16 {
  uint16_t bits;
};
struct Bool {
  uint8_t value;
};

// Asks for what is read later, into the second cache: the first waits for too few lines at a time
// to keep memory busy.
static inline void fetch_ahead(const void* p) { __builtin_prefetch(p, 0, 2); }

template <typename T>
static inline T from_bits(auto bits) {
  static_assert(sizeof(T) == sizeof(bits));
  return __builtin_bit_cast(T, bits);
}

// Integers, f32 and f64, converted by the compiler. Lane is the type computed in.
template <typename Source, typename LaneType = Source>
struct Element {
  using Lane = LaneType;
  static constexpr int kCount = kLanes<Lane>;
  typedef Source Narrow
      __attribute__((vector_size(kCount * sizeof(Source)), aligned(alignof(Source)), may_alias));

  static inline Lane get(const Source* p) { return static_cast<Lane>(*p); }
  static inline void put(Source* p, Lane x) { *p = static_cast<Source>(x); }
  static inline Vec<Lane> load(const Source* p) {
    return __builtin_convertvector(*reinterpret_cast<const Narrow*>(p), Vec<Lane>);
  }
  static inline void store(Source* p, Vec<Lane> v) {
    *reinterpret_cast<Narrow*>(p) = __builtin_convertvector(v, Narrow);
  }
};

template <typename LaneType>
struct Element<Bool, LaneType> : Element<uint8_t, LaneType> {
  using Base = Element<uint8_t, LaneType>;
  using Lane = LaneType;
  static inline Lane get(const Bool* p) { return p->value; }
  static inline void put(Bool* p, Lane x) { p->value = x != 0; }
  static inline Vec<Lane> load(const Bool* p) { return Base::load(&p->value); }
  static inline void store(Bool* p, Vec<Lane> v) { Base::store(&p->value, (v != 0) & 1); }
};

template <>
struct Element<F16, float> {
  using Lane = float;
  static constexpr int kCount = kLanes<float>;

  static inline float get(const F16* p) { return from_bits<_Float16>(p->bits); }
  static inline void put(F16* p, float x) {
    p->bits = from_bits<uint16_t>(static_cast<_Float16>(x));
  }
#if defined(__AVX512F__)
  static inline Vec<float> load(const F16* p) {
    return _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static inline void store(F16* p, Vec<float> v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_maskz_cvtps_ph(0xffff, v, _MM_FROUND_TO_NEAREST_INT));
  }
#elif defined(__F16C__)
  static inline Vec<float> load(const F16* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static inline void store(F16* p, Vec<float> v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
#else
  static inline Vec<float> load(const F16* p) {
    return Vec<float>{get(p), get(p + 1), get(p + 2), get(p + 3)};
  }
  static inline void store(F16* p, Vec<float> v) {
    for (int i = 0; i < kCount; ++i) put(p + i, v[i]);
  }
#endif
};

// 16 bits in the low halves of lanes. GCC splits these conversions in two where it is left to it.
struct Halves {
  using Lane = uint32_t;
#if defined(__AVX512F__)
  static inline Vec<uint32_t> load(const uint16_t* p) {
    __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return reinterpret_cast<Vec<uint32_t>>(_mm512_maskz_cvtepu16_epi32(0xffff, half));
  }
  static inline void store(uint16_t* p, Vec<uint32_t> v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_maskz_cvtepi32_epi16(0xffff, reinterpret_cast<__m512i>(v)));
  }
#elif defined(__AVX2__)
  static inline Vec<uint32_t> load(const uint16_t* p) {
    __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return reinterpret_cast<Vec<uint32_t>>(_mm256_cvtepu16_epi32(half));
  }
  static inline void store(uint16_t* p, Vec<uint32_t> v) {
    Element<uint16_t, uint32_t>::store(p, v);
  }
#else
  static inline Vec<uint32_t> load(const uint16_t* p) {
    return Element<uint16_t, uint32_t>::load(p);
  }
  static inline void store(uint16_t* p, Vec<uint32_t> v) {
    Element<uint16_t, uint32_t>::store(p, v);
  }
#endif
};

template <>
struct Element<Bf16, float> {
  using Lane = float;
  static constexpr int kCount = kLanes<float>;

  static inline float get(const Bf16* p) { return from_bits<float>(uint32_t{p->bits} << 16); }
  static inline void put(Bf16* p, float x) {
    uint32_t bits = from_bits<uint32_t>(x);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    p->bits = static_cast<uint16_t>(x == x ? rounded : bits >> 16 | 0x40);
  }
  static inline Vec<float> load(const Bf16* p) {
    return reinterpret_cast<Vec<float>>(Halves::load(&p->bits) << 16);
  }
  static inline void store(Bf16* p, Vec<float> v) {
    auto bits = reinterpret_cast<Vec<uint32_t>>(v);
    Vec<uint32_t> rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    Halves::store(&p->bits, v == v ? rounded : bits >> 16 | 0x40);
  }
};

// Partial vectors: the first n < lanes elements, the others zero or untouched.
template <typename E, typename Source>
static inline Vec<typename E::Lane> load_some(const Source* p, int n) {
#if defined(__AVX512F__)
  __mmask16 mask = static_cast<__mmask16>((1u << n) - 1);
  if constexpr (sizeof(Source) == 4 && sizeof(typename E::Lane) == 4) {
    Vec<int32_t> v = reinterpret_cast<Vec<int32_t>>(_mm512_maskz_loadu_epi32(mask, p));
    return E::load(reinterpret_cast<const Source*>(&v));
  } else if constexpr (sizeof(Source) == 2 && sizeof(typename E::Lane) == 4) {
    __m256i v = _mm256_maskz_loadu_epi16(mask, p);
    return E::load(reinterpret_cast<const Source*>(&v));
  }
#endif
  Source some[kLanes<typename E::Lane>] = {};
  for (int i = 0; i < n; ++i) some[i] = p[i];
  return E::load(some);
}

template <typename E, typename Source>
static inline void store_some(Source* p, Vec<typename E::Lane> v, int n) {
#if defined(__AVX512F__)
  __mmask16 mask = static_cast<__mmask16>((1u << n) - 1);
  if constexpr (sizeof(Source) == 4 && sizeof(typename E::Lane) == 4) {
    _mm512_mask_storeu_epi32(p, mask, reinterpret_cast<__m512i>(v));
    return;
  }
#endif
  Source some[kLanes<typename E::Lane>];
  E::store(some, v);
  for (int i = 0; i < n; ++i) p[i] = some[i];
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
