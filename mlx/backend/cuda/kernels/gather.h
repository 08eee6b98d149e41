// Gathers: each element of the output from its place in the array, or rows from theirs.
#pragma once

#include "mlx/backend/cuda/kernels/index.h"

namespace mlx::core::kernels {

template <FaultOp op, typename Word, int sources, int index_rank, int slice_rank>
MLX_FN void gather(const Indexed<sources, index_rank, slice_rank>& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.positions * p.slice_elements) return;
  int64_t from, unused;
  if (find_indexed(p, i, op, from, unused)) {
    static_cast<Word*>(p.out)[i] = static_cast<const Word*>(p.in)[from];
  } else {
    static_cast<Word*>(p.out)[i] = Word{};
  }
}

constexpr int gather_threads = 256;

/** Rows of neighbours: `lanes` threads take one, look its index up once, and have four words of it
 *  on their way at a time. */
template <FaultOp op, typename Word, int lanes>
MLX_FN void gather_rows(const GatherRows& p) {
  int64_t row = static_cast<int64_t>(blockIdx.x) * (gather_threads / lanes) + threadIdx.x / lanes;
  if (row >= p.rows) return;
  int64_t from = 0;
  bool inside = add_index(p.source, row * p.step, from, p.fault, op);
  const auto* in = static_cast<const Word*>(p.in) + from;
  auto* out = static_cast<Word*>(p.out) + row * p.words;
  constexpr int each = 4;
  for (int64_t first = threadIdx.x % lanes; first < p.words; first += each * lanes) {
    Word held[each];
#pragma unroll
    for (int k = 0; k < each; k++) {
      held[k] = Word{};
      if (inside && first + k * lanes < p.words) held[k] = in[first + k * lanes];
    }
#pragma unroll
    for (int k = 0; k < each; k++) {
      if (first + k * lanes < p.words) out[first + k * lanes] = held[k];
    }
  }
}

}  // namespace mlx::core::kernels
