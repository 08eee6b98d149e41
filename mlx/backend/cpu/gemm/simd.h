// The vectors of one instruction set level, for the gemm kernels. Included only by *.isa.cpp files;
// everything is static so that no symbol compiled for one level is shared with another.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <type_traits>

namespace mlx::core::cpu::MLX_ISA::simd {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kRegisterRows = 14;  // rows x 2 vectors of sums, 2 of B, 1 of A: 31 of 32 registers
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
constexpr int kRegisterRows = 6;
#else
constexpr int kVectorBytes = 16;
constexpr int kRegisterRows = 4;
#endif

template <typename T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
  typedef T unaligned __attribute__((vector_size(kVectorBytes), aligned(alignof(T)), may_alias));
};

template <typename T>
using Vec = typename VectorOf<T>::type;

template <typename T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <typename T>
static inline Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename VectorOf<T>::unaligned*>(p);
}

template <typename T>
static inline void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename VectorOf<T>::unaligned*>(p) = v;
}

template <typename T>
static inline Vec<T> splat(T x) {
  return x - Vec<T>{};
}

// a * b + c, in one rounding where the level has FMA.
template <typename T>
static inline Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return _mm512_fmadd_ps(a, b, c);
  if constexpr (std::is_same_v<T, double>) return _mm512_fmadd_pd(a, b, c);
#elif defined(__FMA__)
  if constexpr (std::is_same_v<T, float>) return _mm256_fmadd_ps(a, b, c);
  if constexpr (std::is_same_v<T, double>) return _mm256_fmadd_pd(a, b, c);
#endif
  return a * b + c;
}

// c - a * b, likewise.
template <typename T>
static inline Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return fma<T>(-a, b, c);
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
