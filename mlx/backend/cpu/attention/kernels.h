// What attention does beside blocks: rows of scores of few queries, and bits of masks.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

struct AttentionTable {
  /** The lowest float where seen[i] is 0. */
  void (*hide)(float* scores, const uint32_t* seen, int64_t n);
  void (*add)(float* scores, const float* mask, int64_t n);
  float (*dot)(const float* a, const float* b, int64_t n);
  /** Turns the scores of one query into weights exp(score - top), where `top` becomes the greatest
   *  score so far, and adds them to `total`. Returns the factor that sums made with the former top
   *  need. */
  float (*advance_row)(float* scores, int64_t keys, float* top, float* total);
  /** Bit k of the words, of which the last is filled up with zeros: whether byte k is not 0. */
  void (*find_bits)(const char* bytes, int64_t n, uint64_t* words);
};

MLX_ISA_TABLE(AttentionTable, attention_table)

}  // namespace mlx::core::cpu
