// The kernels of kernels.h.
#include "mlx/backend/cpu/attention/kernels.h"

#include <immintrin.h>

#include "mlx/backend/cpu/reduce_fold.h"
#include "mlx/kernels/softmax.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

constexpr float lowest = -__FLT_MAX__;

void hide(float* __restrict scores, const uint32_t* __restrict seen, int64_t n) {
  for (int64_t i = 0; i < n; i++) scores[i] = seen[i] ? scores[i] : lowest;
}

void add(float* __restrict scores, const float* __restrict mask, int64_t n) {
  for (int64_t i = 0; i < n; i++) scores[i] += mask[i];
}

float dot(const float* a, const float* b, int64_t n) {
  return map_sum<float>(n, [=](int64_t i) { return a[i] * b[i]; });
}

float advance_row(float* __restrict scores, int64_t keys, float* top, float* total) {
  float best = fold_values<MaxOp>(scores, keys);
  best = best > *top ? best : *top;
  float factor = exp_nonpositive(*top - best);
#pragma GCC ivdep
  for (int64_t k = 0; k < keys; k++) scores[k] = exp_nonpositive(scores[k] - best);
  *total = *total * factor + fold_values<SumOp>(scores, keys);
  *top = best;
  return factor;
}

/** Of 64 bytes. */
uint64_t bits_of(const char* bytes) {
#if defined(__AVX512F__)
  __m512i all = _mm512_loadu_si512(bytes);
  return _mm512_test_epi8_mask(all, all);
#else
  uint64_t bits = 0;
  for (int i = 0; i < 64; i += 16) {
    __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + i));
    auto zeros = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(part, __m128i{})));
    bits |= uint64_t{~zeros & 0xffffu} << i;
  }
  return bits;
#endif
}

void find_bits(const char* bytes, int64_t n, uint64_t* words) {
  for (; n >= 64; n -= 64, bytes += 64) *words++ = bits_of(bytes);
  if (n == 0) return;
  char rest[64] = {};
  __builtin_memcpy(rest, bytes, static_cast<size_t>(n));
  *words = bits_of(rest);
}

}  // namespace

const AttentionTable& attention_table() {
  static constexpr AttentionTable table = {
      hide, add, dot, advance_row, find_bits,
  };
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
