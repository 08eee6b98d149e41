// Masks on rows of scores, the part of attention that neither the matrix product engine nor softmax
// has.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

struct AttentionTable {
  /** scores[i] += mask[i]. */
  void (*add)(float* scores, const float* mask, int64_t n);
  /** Where mask[i] is 0 the score becomes the lowest float. */
  void (*hide)(float* scores, const uint8_t* mask, int64_t n);
};

MLX_ISA_TABLE(AttentionTable, attention_table)

}  // namespace mlx::core::cpu
