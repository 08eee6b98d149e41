// Slices that are written where numbers on the device say. A start that would leave the array is
// reported, and nothing is written.
#pragma once

#include "mlx/backend/cuda/kernels/index.h"
#include "mlx/backend/cuda/kernels/slice_call.h"

namespace mlx::core::kernels {

template <int rank, int axes>
struct PlacedCopy : PlacedCopyCall {
  int64_t shape[rank];
  int64_t strides[2][rank];                      // of in, of out
  int64_t axis[axes], room[axes], stride[axes];  // of each start: the last place that it can have
};

template <typename Word, int rank, int axes>
MLX_FN void place_element(const PlacedCopy<rank, axes>& p, int64_t i) {
  int64_t at[2];
  find_places<int64_t>(i, p.shape, p.strides, at);
  await_earlier();
  if (i >= p.count) return;
  int64_t offset = 0;
#pragma unroll
  for (int k = 0; k < axes; k++) {
    int64_t start = load_index({p.starts, p.kind}, k * p.step);
    if (start < 0 || start > p.room[k]) {
      report(p.fault, FaultOp::slice_update, start, p.axis[k], p.room[k]);
      return;
    }
    offset += start * p.stride[k];
  }
  static_cast<Word*>(p.out)[at[1] + offset] = static_cast<const Word*>(p.in)[at[0]];
}

template <typename Word, int rank, int axes>
MLX_FN void placed_copy(const PlacedCopy<rank, axes>& p) {
  place_element<Word>(p, thread_number<int64_t>());
}

/** Two of them: blocks from `first_block` on do the second. */
template <int rank, int axes>
struct PlacedCopyPair {
  int64_t first_block;
  PlacedCopy<rank, axes> part[2];
};

template <typename Word, int rank, int axes>
MLX_FN void placed_copy_pair(const PlacedCopyPair<rank, axes>& p) {
  bool second = blockIdx.x >= p.first_block;
  int64_t before = second ? p.first_block * blockDim.x : 0;
  place_element<Word>(p.part[second], thread_number<int64_t>() - before);
}

}  // namespace mlx::core::kernels
