// Copies between layouts: element by element, and by tiles where rows become columns.
#pragma once

#include "mlx/backend/cuda/kernels/copy_call.h"
#include "mlx/backend/cuda/kernels/walk.h"

namespace mlx::core::kernels {

template <int rank>
struct StridedCopy : StridedCopyCall {
  int64_t shape[rank];
  int64_t strides[2][rank];  // of in, of out
};

template <typename Word, typename Index, int rank>
MLX_FN void copy_element(const StridedCopy<rank>& p, Index i) {
  if (i >= static_cast<Index>(p.count)) return;
  Index at[2];
  find_places<Index>(i, p.shape, p.strides, at);
  static_cast<Word*>(p.out)[at[1]] = static_cast<const Word*>(p.in)[at[0]];
}

template <typename Word, typename Index, int rank>
MLX_FN void strided_copy(const StridedCopy<rank>& p) {
  copy_element<Word, Index>(p, thread_number<Index>());
}

/** Two copies: blocks from `first_block` on do the second. */
template <int rank>
struct StridedCopyPair {
  int64_t first_block;
  StridedCopy<rank> part[2];
};

template <typename Word, typename Index, int rank>
MLX_FN void strided_copy_pair(const StridedCopyPair<rank>& p) {
  bool second = blockIdx.x >= p.first_block;
  Index before = second ? static_cast<Index>(p.first_block) * static_cast<Index>(blockDim.x) : 0;
  copy_element<Word, Index>(p.part[second], thread_number<Index>() - before);
}

/** out = Op(out, in); no element of out comes twice. */
template <typename Op, typename T, typename Index, int rank>
MLX_FN void strided_combine(const StridedCopy<rank>& p) {
  Index i = thread_number<Index>();
  if (i >= static_cast<Index>(p.count)) return;
  Index at[2];
  find_places<Index>(i, p.shape, p.strides, at);
  store(p.out, at[1], run<Op, T>(load<T>(p.out, at[1]), load<T>(p.in, at[0])));
}

template <int rank>
struct TiledCopy : TiledCopyCall {
  int64_t shape[rank];
  int64_t strides[2][rank];
};

template <typename Word, int rank>
MLX_FN void tiled_copy(const TiledCopy<rank>& p) {
  __shared__ Word staged[tile][tile + 1];
  int64_t block = blockIdx.x;
  int64_t across = block % p.tiles_across;
  block /= p.tiles_across;
  int64_t down = block % p.tiles_down;
  block /= p.tiles_down;
  int64_t at[2];
  find_places<int64_t>(block, p.shape, p.strides, at);
  const Word* in = static_cast<const Word*>(p.in) + at[0];
  Word* out = static_cast<Word*>(p.out) + at[1];
  int64_t row = down * tile + threadIdx.x;
  for (int k = threadIdx.y; k < tile; k += tile_threads) {
    int64_t column = across * tile + k;
    if (row < p.rows && column < p.columns) {
      staged[k][threadIdx.x] = in[row + column * p.column_stride];
    }
  }
  __syncthreads();
  int64_t column = across * tile + threadIdx.x;
  for (int k = threadIdx.y; k < tile; k += tile_threads) {
    row = down * tile + k;
    if (row < p.rows && column < p.columns) {
      out[row * p.row_stride + column] = staged[threadIdx.x][k];
    }
  }
}

}  // namespace mlx::core::kernels
