// Sorts the rows of products by the matrix that they meet, so that a matrix is read once for many
// of them: counts, places, and tiles of rows, by one block.
#pragma once

#include "mlx/backend/cuda/kernels/lanes.h"
#include "mlx/backend/cuda/kernels/quantized_task.h"

namespace mlx::core::kernels {

constexpr int row_sort_threads = 256;

/** Adds up what is before each of `count` numbers, in place. */
MLX_FN void add_up(int32_t* numbers, int count, uint32_t* shared) {
  int32_t before = 0;
  for (int begin = 0; begin < count; begin += row_sort_threads) {
    int i = begin + static_cast<int>(threadIdx.x);
    int32_t own = i < count ? numbers[i] : 0;
    int32_t place = before + static_cast<int32_t>(sum_before_thread(own, shared));
    if (i < count) numbers[i] = place;
    __syncthreads();
    if (threadIdx.x == row_sort_threads - 1) shared[8] = static_cast<uint32_t>(place + own);
    __syncthreads();
    before = static_cast<int32_t>(shared[8]);
    __syncthreads();
  }
}

/** Which rows of a matrix come first is of no matter to their results. */
MLX_FN void quantized_sort(const RowSort& p) {
  extern __shared__ uint4 memory[];
  __shared__ uint32_t shared[9];
  int matrices = static_cast<int>(p.picks.w_count), rows = static_cast<int>(p.rows);
  auto* counts = reinterpret_cast<int32_t*>(memory);
  int32_t *places = counts + matrices, *tiles = places + matrices;
  for (int i = threadIdx.x; i < matrices; i += row_sort_threads) counts[i] = 0;
  for (int i = threadIdx.x; i < p.tile_count; i += row_sort_threads) p.tiles[i].count = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < p.products; i += row_sort_threads) {
    int64_t matrix = picked(p.picks.w, i, p.picks.w_count, p.picks.fault);
    if (matrix >= 0) atomicAdd(&counts[matrix], rows);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < matrices; i += row_sort_threads) {
    places[i] = counts[i];
    tiles[i] = (counts[i] + p.most - 1) / p.most;
  }
  __syncthreads();
  add_up(places, matrices, shared);
  add_up(tiles, matrices, shared);
  for (int i = threadIdx.x; i < matrices; i += row_sort_threads) {
    RowTile* tile = p.tiles + tiles[i];
    for (int at = 0; at < counts[i]; at += p.most, tile++) {
      *tile = {i, places[i] + at, counts[i] - at < p.most ? counts[i] - at : p.most};
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < p.products; i += row_sort_threads) {
    int64_t given = p.picks.w[i], matrix = given < 0 ? given + p.picks.w_count : given;
    if (matrix < 0 || matrix >= p.picks.w_count) continue;
    int32_t* to = p.order + atomicAdd(&places[matrix], rows);
    for (int row = 0; row < rows; row++) to[row] = i * rows + row;
  }
}

}  // namespace mlx::core::kernels
