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

Vec<float> greater(Vec<float> a, Vec<float> b) { return a > b ? a : b; }

/** The greatest of each column over `lines` lines and what `top` holds. */
void fold_top(const float* panel, int64_t lines, float* top) {
  Vec<float> best[4] = {load(top), load(top + vector), load(top), load(top + vector)};
  int64_t k = 0;
  for (; k + 2 <= lines; k += 2) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) best[v] = greater(load(panel + k * width + v * vector), best[v]);
  }
  if (k < lines) {
    best[0] = greater(load(panel + k * width), best[0]);
    best[1] = greater(load(panel + k * width + vector), best[1]);
  }
  store(top, greater(best[0], best[2]));
  store(top + vector, greater(best[1], best[3]));
}

void add_lines(const float* panel, int64_t lines, float* total) {
  Vec<float> sums[4] = {};
  int64_t k = 0;
  for (; k + 2 <= lines; k += 2) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) sums[v] += load(panel + k * width + v * vector);
  }
  if (k < lines) {
    sums[0] += load(panel + k * width);
    sums[1] += load(panel + k * width + vector);
  }
  store(total, load(total) + (sums[0] + sums[2]));
  store(total + vector, load(total + vector) + (sums[1] + sums[3]));
}

bool advance(float* __restrict scores, int64_t keys, float* top, float* total, float* factor) {
  float before[width], shift[width];
  __builtin_memcpy(before, top, sizeof(before));
  fold_top(scores, keys, top);
  __builtin_memcpy(shift, top, sizeof(shift));
  bool changed = false;
  for (int64_t i = 0; i < width; i++) {
    factor[i] = exp_nonpositive(before[i] - shift[i]);
    changed |= before[i] != shift[i];
  }
  for (int64_t k = 0; k < keys; k++) {
#pragma GCC ivdep
    for (int64_t i = 0; i < width; i++) {
      scores[k * width + i] = exp_nonpositive(scores[k * width + i] - shift[i]);
    }
  }
  if (changed) {
    for (int64_t i = 0; i < width; i++) total[i] *= factor[i];
  }
  add_lines(scores, keys, total);
  return changed;
}

void rescale(float* panel, int64_t lines, const float* factor) {
  Vec<float> first = load(factor), second = load(factor + vector);
  for (int64_t k = 0; k < lines; k++, panel += width) {
    store(panel, load(panel) * first);
    store(panel + vector, load(panel + vector) * second);
  }
}

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

}  // namespace

const AttentionTable& attention_table() {
  static constexpr AttentionTable table = {
      width,       advance, rescale, hide, hide_after,
      add,         weigh,   change,  dot,  add_rows_table.kernels,
      advance_row,
  };
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
