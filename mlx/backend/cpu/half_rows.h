// Rows of float16 and bfloat16 to float and back, for kernels that compute in float. Included by
// *.isa.cpp files: float16 uses the conversion instructions where the level has them, since g++
// does not find them by itself, and integer arithmetic elsewhere.
#pragma once

#ifdef __F16C__
#include <immintrin.h>
#endif

#include "mlx/kernels/convert.h"

namespace mlx::core::cpu::MLX_ISA {
namespace {

/** out[i] = in[i], exact. The rows must not overlap. */
[[maybe_unused]] inline void widen_row(float* out, const kernels::BFloat* in, int64_t n) {
  _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i) out[i] = kernels::to_float(in[i]);
}

/** out[i] = in[i] rounded to nearest even. The rows must not overlap. */
[[maybe_unused]] inline void narrow_row(kernels::BFloat* out, const float* in, int64_t n) {
  _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i) out[i] = kernels::to_bfloat(in[i]);
}

#ifdef __AVX512F__
// The masked forms, since g++ 12 warns about its own header in the plain ones.
constexpr __mmask16 every_lane = 0xffff;
#endif

[[maybe_unused]] inline void widen_row(float* out, const kernels::Half* in, int64_t n) {
  int64_t i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16) {
    auto bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i));
    _mm512_storeu_ps(out + i, _mm512_maskz_cvtph_ps(every_lane, bits));
  }
#elif defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    auto bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(bits));
  }
#endif
#ifdef __F16C__
  for (; i < n; ++i) out[i] = _cvtsh_ss(in[i].bits);
#else
  _Pragma("GCC ivdep") for (; i < n; ++i) out[i] = kernels::to_float(in[i]);
#endif
}

[[maybe_unused]] inline void narrow_row(kernels::Half* out, const float* in, int64_t n) {
  int64_t i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16) {
    auto bits =
        _mm512_maskz_cvtps_ph(every_lane, _mm512_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), bits);
  }
#elif defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    auto bits = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), bits);
  }
#endif
#ifdef __F16C__
  for (; i < n; ++i) out[i].bits = _cvtss_sh(in[i], _MM_FROUND_TO_NEAREST_INT);
#else
  _Pragma("GCC ivdep") for (; i < n; ++i) out[i] = kernels::to_half(in[i]);
#endif
}

}  // namespace
}  // namespace mlx::core::cpu::MLX_ISA
