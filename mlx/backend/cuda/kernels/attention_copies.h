// Copies of queries, keys and values to shared memory that run while the block computes.
#pragma once

#include "mlx/backend/cuda/kernels/async_copies.h"
#include "mlx/backend/cuda/kernels/attention.h"

namespace mlx::core::kernels {

/** Where the keys of a turn of 64 lie for MatrixRows, whose lanes so get sixteen neighbours each.
 * The bits of the number trade places, hence the places of numbers without common bits add up. */
MLX_FN constexpr int place_of_key(int key) { return key / 2 % 8 * 8 + key / 16 * 2 + key % 2; }

/** `count` rows of keys or values, in order or by place_of_key; rows from `limit` and columns from
 *  `width` on are zeros. */
template <typename T, int count, int columns, int pitch, int threads, bool placed = false>
MLX_FN void copy_rows(T* to, const T* from, int64_t stride, int first, int limit, int width) {
  constexpr int each = 16 / sizeof(T), chunks = columns / each;
  constexpr int across = chunks & -chunks, down = threads / across;  // threads that share a turn
  static_assert(threads % across == 0 && count % down == 0);
  int row = threadIdx.x / across, column = threadIdx.x % across * each;
  uint32_t target = shared_address(to + (placed ? place_of_key(row) : row) * pitch + column);
  const T* source = from + (first + row) * stride + column;
#pragma unroll
  for (int i = 0; i < count / down; i++) {
    int place = placed ? place_of_key(i * down) : i * down;
#pragma unroll
    for (int c = 0; c < chunks / across; c++) {
      bool present = first + row + i * down < limit && column + c * across * each < width;
      copy_async(target + (place * pitch + c * across * each) * sizeof(T),
                 present ? source + c * across * each : from, present);
    }
    source += down * stride;
  }
}

template <typename T, int count, int columns, int pitch, int threads>
MLX_FN void copy_queries(T* to, const AttentionCall& p, const AttentionTask& task) {
  constexpr int each = 16 / sizeof(T), chunks = columns / each;
  uint32_t base = shared_address(to);
#pragma unroll 4
  for (int item = threadIdx.x; item < count * chunks; item += threads) {
    int row = item / chunks, column = item % chunks * each;
    bool present = task.first + row < task.rows && column < p.d;
    const T* source =
        query_row<T>(p, task, present ? task.first + row : 0) + (present ? column : 0);
    copy_async(base + (row * pitch + column) * sizeof(T), source, present);
  }
}

}  // namespace mlx::core::kernels
