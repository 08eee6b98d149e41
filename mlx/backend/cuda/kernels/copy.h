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

/** Calls f(line, lane, k, j) for each place of a tile that this thread has, its k-th line and j-th
 *  neighbour there. */
template <int lines, int neighbours, typename F>
MLX_FN void each_of_tile(const F& f) {
#pragma unroll
  for (int k = 0; k < lines; k++) {
#pragma unroll
    for (int j = 0; j < neighbours; j++)
      f(k * tile_threads + threadIdx.y, j * tile_lanes + threadIdx.x, k, j);
  }
}

/** By tiles of `side` rows and columns. */
template <typename Word, int side, int rank>
MLX_FN void tiled_copy(const TiledCopy<rank>& p) {
  constexpr int lines = side / tile_threads, neighbours = side / tile_lanes;
  __shared__ Word staged[side][side + 1];
  int64_t block = blockIdx.x;
  int64_t first_column = block % p.tiles_across * side;
  block /= p.tiles_across;
  int64_t first_row = block % p.tiles_down * side;
  int64_t at[2];
  find_places<int64_t>(block / p.tiles_down, p.shape, p.strides, at);
  const Word* in = static_cast<const Word*>(p.in) + at[0];
  Word* out = static_cast<Word*>(p.out) + at[1];
  Word values[lines][neighbours];  // all on their way at once
  each_of_tile<lines, neighbours>([&](int line, int lane, int k, int j) {
    int64_t row = first_row + lane, column = first_column + line;
    if (row < p.rows && column < p.columns) values[k][j] = in[row + column * p.column_stride];
  });
  each_of_tile<lines, neighbours>(
      [&](int line, int lane, int k, int j) { staged[line][lane] = values[k][j]; });
  __syncthreads();
  each_of_tile<lines, neighbours>([&](int line, int lane, int, int) {
    int64_t row = first_row + line, column = first_column + lane;
    if (row < p.rows && column < p.columns) out[row * p.row_stride + column] = staged[lane][line];
  });
}

}  // namespace mlx::core::kernels
