// The arguments of the kernel of rotary position encoding. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

constexpr int rope_rank = 4;  // axes of each list below

struct RopeAxes {
  int64_t rank;
  int64_t extents[rope_rank];
  int64_t in[rope_rank], out[rope_rank], offset[rope_rank];  // strides
};

struct RopeCall {
  const void* x;
  void* out;
  const void* offset;  // null: all positions start at `start`
  int64_t start, wide_offset;
  const void* freqs;  // null: frequency i is 2^(i step), and `ratio` times the one before it
  double step, ratio, scale;
  int64_t pairs, length, width, shared;
  int64_t packs;         // threads for a row: those behind the pairs copy what stays
  int64_t each, chunks;  // lists of rows that a thread turns, and how often there are so many
  int64_t total;         // threads
  int64_t in_stride, out_stride;  // from position to position
  RopeAxes group, list;           // rows with an offset of their own; lists that share angles
};

/** Rotations that run together. */
constexpr int most_rope_parts = 2;

struct RopeCalls {
  int64_t parts, first_block[most_rope_parts];
  RopeCall part[most_rope_parts];
};

}  // namespace mlx::core::kernels
