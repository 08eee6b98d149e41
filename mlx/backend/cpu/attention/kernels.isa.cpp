// The kernels of kernels.h.
#include "mlx/backend/cpu/attention/kernels.h"

#include <utility>

#include "mlx/backend/cpu/gemm/simd.h"
#include "mlx/backend/cpu/reduce_fold.h"
#include "mlx/kernels/softmax.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

using simd::load;
using simd::store;
using simd::Vec;

constexpr int64_t vector = simd::kLanes<float>;
constexpr int64_t width = 2 * vector;
constexpr float lowest = -__FLT_MAX__;

void hide(float* __restrict scores, const uint32_t* __restrict seen, int64_t n) {
  for (int64_t i = 0; i < n; i++) scores[i] = seen[i] ? scores[i] : lowest;
}

void hide_after(float* __restrict scores, int64_t first, int64_t keys,
                const int32_t* __restrict seen) {
  int32_t left[width];
  for (int64_t i = 0; i < width; i++) left[i] = seen[i] - static_cast<int32_t>(first);
  for (int32_t k = 0; k < static_cast<int32_t>(keys); k++, scores += width) {
#pragma GCC ivdep
    for (int64_t i = 0; i < width; i++) scores[i] = k < left[i] ? scores[i] : lowest;
  }
}

void add(float* __restrict scores, const float* __restrict mask, int64_t n) {
  for (int64_t i = 0; i < n; i++) scores[i] += mask[i];
}

void weigh(float* __restrict scores, int64_t keys, const float* sum, const float* factor) {
  float shift[width], scale[width];
  __builtin_memcpy(shift, sum, sizeof(shift));
  __builtin_memcpy(scale, factor, sizeof(scale));
  for (int64_t k = 0; k < keys; k++, scores += width) {
#pragma GCC ivdep
    for (int64_t i = 0; i < width; i++) {
      scores[i] = scale[i] * exp_nonpositive(scores[i] - shift[i]);
    }
  }
}

void change(float* __restrict changes, const float* __restrict weights, int64_t keys,
            const float* along, const float* factor) {
  Vec<float> shift[2] = {load(along), load(along + vector)};
  Vec<float> scale[2] = {load(factor), load(factor + vector)};
  for (int64_t k = 0; k < keys; k++, changes += width, weights += width) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; v++) {
      float* to = changes + v * vector;
      store(to, scale[v] * load(weights + v * vector) * (load(to) - shift[v]));
    }
  }
}

float dot(const float* a, const float* b, int64_t n) {
  return map_sum<float>(n, [=](int64_t i) { return a[i] * b[i]; });
}

template <int Keys>
void add_rows(const AddRows& call) {
  Vec<float> sums[Keys][2] = {};
  for (int64_t p = 0; p < call.panels; p++) {
    const float* weights = call.weights + p * call.weights_panel;
    const float* rows = call.rows + p * call.rows_panel;
    for (int64_t i = 0; i < width; i++, rows += width) {
      Vec<float> first = load(rows), second = load(rows + vector);
#pragma GCC unroll 16
      for (int r = 0; r < Keys; r++) {
        Vec<float> weight = simd::splat(weights[r * width + i]);
        sums[r][0] = simd::fma<float>(weight, first, sums[r][0]);
        sums[r][1] = simd::fma<float>(weight, second, sums[r][1]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Keys; r++) {
    float* to = call.sums + r * call.stride;
    store(to, load(to) + sums[r][0]);
    store(to + vector, load(to + vector) + sums[r][1]);
  }
}

template <int Keys>
struct AddRowsTable {
  void (*kernels[Keys])(const AddRows&);
};

template <int... R>
constexpr AddRowsTable<sizeof...(R)> make_add_rows(std::integer_sequence<int, R...>) {
  return {{add_rows<R + 1>...}};
}

constexpr auto add_rows_table =
    make_add_rows(std::make_integer_sequence<int, simd::kRegisterRows>{});

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
      width, hide, hide_after, add, weigh, change, dot, add_rows_table.kernels, advance_row,
      find_bits,
  };
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
