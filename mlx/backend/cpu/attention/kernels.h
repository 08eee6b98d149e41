// What attention does between and beside its products. Scores lie in panels: for every key the
// scores of `width` queries side by side, which is also how the product engine wants the right
// operand of the product with the values.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

/** Adds weights (or their changes) times rows to sums of keys: for every key r of the kernel's and
 *  column j, sums[r * stride + j] += sum over panels p and queries i of
 *  weights[p * weights_panel + r * width + i] * rows[p * rows_panel + i * width + j]. */
struct AddRows {
  int64_t panels;
  const float* weights;
  int64_t weights_panel;
  const float* rows;
  int64_t rows_panel;
  float* sums;
  int64_t stride;
};

struct AttentionTable {
  int width;  // queries of a panel: two vectors

  /** The lowest float where seen[i] is 0. */
  void (*hide)(float* scores, const uint32_t* seen, int64_t n);
  /** The same for keys first, first + 1, ... which query i sees if they lie before seen[i]. */
  void (*hide_after)(float* scores, int64_t first, int64_t keys, const int32_t* seen);
  void (*add)(float* scores, const float* mask, int64_t n);
  /** Turns scores into weights factor[i] * exp(score - sum[i]). */
  void (*weigh)(float* scores, int64_t keys, const float* sum, const float* factor);
  /** changes = factor[i] * weights * (changes - along[i]). */
  void (*change)(float* changes, const float* weights, int64_t keys, const float* along,
                 const float* factor);
  float (*dot)(const float* a, const float* b, int64_t n);
  void (*const* add_rows)(const AddRows& call);  // for r keys: add_rows[r - 1]

  /** `advance` for the scores of one query in a row; returns the factor. */
  float (*advance_row)(float* scores, int64_t keys, float* top, float* total);
  /** Bit k of the words, of which the last is filled up with zeros: whether byte k is not 0. */
  void (*find_bits)(const char* bytes, int64_t n, uint64_t* words);
};

MLX_ISA_TABLE(AttentionTable, attention_table)

}  // namespace mlx::core::cpu
