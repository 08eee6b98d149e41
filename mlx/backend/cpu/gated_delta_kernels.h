// The rows of the gated delta rule's state, each of which goes through all steps by itself.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

/** Rows of the states of one head of one sequence. Strides go from step to step, in elements. */
struct GatedDeltaRows {
  const float *query, *key, *value, *gate, *beta;
  const bool* mask;  // one per step, or null
  float *state, *out;
  int64_t rows, width, steps;
  int64_t key_stride, value_stride, gate_stride, beta_stride;
  bool gate_per_feature;
};

struct GatedDeltaTable {
  void (*run)(const GatedDeltaRows&);
};

MLX_ISA_TABLE(GatedDeltaTable, gated_delta_table)

}  // namespace mlx::core::cpu
