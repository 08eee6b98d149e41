// Gathers: each element of the output from its place in the array.
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

}  // namespace mlx::core::kernels
