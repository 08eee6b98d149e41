// The row kernels of rotary position encoding: the angles of a position, and rows that turn by
// them.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

/** Rows of one storage dtype at consecutive positions; `out` may be `in`, with its strides. */
struct RopeRows {
  const void* in;
  void* out;
  int64_t in_stride, out_stride;  // elements from row to row
  int64_t count, pairs, width;    // rows; pairs that turn; elements of a row
};

/** cosines[i] and sines[i] of position * freqs[i] for i < pairs. */
template <typename T>
using RopeAngles = void (*)(T position, const T* freqs, T* cosines, T* sines, int64_t pairs);

/** Turns each row by its `pairs` cosines and sines of the compute type, those of the next row
 *  behind them; elements past the pairs stay. */
using RopeTurn = void (*)(const RopeRows& rows, const void* cosines, const void* sines);

struct RopeTable {
  RopeAngles<float> angles_f32;
  RopeAngles<double> angles_f64;
  // Pairs half a row apart, and pairs of neighbours.
  RopeTurn f16[2], bf16[2], f32[2], f64[2];
};

MLX_ISA_TABLE(RopeTable, rope_table)

}  // namespace mlx::core::cpu
