// Attention of half types by the tensor cores of compute capability 9.0, which four warps use
// together: queries and weights come from registers, keys and values from swizzled shared memory.
// The weights of the next keys are made while the values of the last ones are multiplied.
#pragma once

#include "mlx/backend/cuda/kernels/attention_matrix_rows.h"
#include "mlx/backend/cuda/kernels/warpgroup_products.h"

namespace mlx::core::kernels {

/** As copy_rows by place_of_key, in panels of 64 columns whose rows are swizzled. */
template <typename T, int count, int columns, int threads>
MLX_FN void copy_panels(uint32_t to, const T* from, int64_t stride, int first, int limit,
                        int width) {
  constexpr int chunks = columns / 8, across = chunks & -chunks, down = threads / across;
  static_assert(count % down == 0 && down % 8 == 0);
  int row = threadIdx.x / across, chunk = threadIdx.x % across;
  int place = place_of_key(row);
  const T* source = from + (first + row) * stride + chunk * 8;
#pragma unroll
  for (int i = 0; i < count / down; i++) {
    int more = place_of_key(i * down);
#pragma unroll
    for (int c = 0; c < chunks / across; c++) {
      int at = chunk + c * across;
      uint32_t panel = to + at / 8 * count * 128;
      bool present = first + row + i * down < limit && at * 8 < width;
      copy_async(panel + (place + more) * 128 + ((at % 8) ^ (place % 8) ^ (more % 8)) * 16,
                 present ? source + c * across * 8 : from, present);
    }
    source += down * stride;
  }
}

/** `d`, `e`: columns, padded to whole panels of 64. `step` keys go at a time. */
template <typename T, int d, int e, int step, Hiding hiding, bool split>
struct WgmmaAttention : MatrixRows<T, e, 1, step, hiding, split> {
  using Rows = MatrixRows<T, e, 1, step, hiding, split>;
  using Rows::lane, Rows::p, Rows::scores, Rows::sums, Rows::task;
  static constexpr int rows = 64, threads = 128;
  static constexpr uint32_t key_bytes = step * d * 2, value_bytes = step * e * 2;

  uint32_t keys, values;  // two stages of each
  const T *all_keys, *all_values;
  uint32_t queries[d / 16][4], weights[step / 16][4];

  MLX_FN WgmmaAttention(const AttentionCall& call, void* shared)
      : Rows(call, find_task<rows, hiding>(call)),
        keys(aligned_panels(shared)),
        values(keys + 2 * key_bytes),
        all_keys(key_rows<T>(call, task)),
        all_values(value_rows<T>(call, task)) {}

  MLX_FN void load_queries() {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int row = this->row_of(0, half);
      const T* from = query_row<T>(p, task, row < task.rows ? row : 0);
#pragma unroll
      for (int i = 0; i < d / 8; i++) {
        int column = i * 8 + lane % 4 * 2;
        bool present = row < task.rows && column < p.d;
        queries[i / 2][i % 2 * 2 + half] =
            present ? *reinterpret_cast<const uint32_t*>(from + column) : 0;
      }
    }
  }

  MLX_FN void copy_keys(int first, int stage) {
    copy_panels<T, step, d, threads>(keys + stage * key_bytes, all_keys, p.k_strides[2], first,
                                     task.end, static_cast<int>(p.d));
  }
  MLX_FN void copy_values(int first, int stage) {
    copy_panels<T, step, e, threads>(values + stage * value_bytes, all_values, p.v_strides[2],
                                     first, task.end, static_cast<int>(p.value_width));
  }

  MLX_FN void multiply_keys(int stage) {
#pragma unroll
    for (int n = 0; n < step / 64; n++) {
#pragma unroll
      for (int i = 0; i < d / 16; i++) {
        uint32_t at = keys + stage * key_bytes + i / 4 * step * 128 + n * 64 * 128 + i % 4 * 32;
        multiply_warps<T, false>(&scores[0][8 * n], queries[i], describe_rows(at), i > 0);
      }
    }
  }

  MLX_FN void multiply_values(int stage) {
#pragma unroll
    for (int n = 0; n < e / 64; n++) {
#pragma unroll
      for (int i = 0; i < step / 16; i++) {
        uint32_t at = values + stage * value_bytes + n * step * 128 + i * 16 * 128;
        multiply_warps<T, true>(&sums[0][8 * n], weights[i], describe_rows(at), true);
      }
    }
  }

  /** Scores of the keys from `first` on become weights. */
  MLX_FN void weigh_keys(int first) {
    if (first + step > task.open || first + step > task.end) this->hide(first);
    this->weigh();
  }
  MLX_FN void pack() {
#pragma unroll
    for (int i = 0; i < step / 16; i++) this->pack_weights(weights[i], 0, i);
  }

  MLX_FN void run() {
    if (task.begin < task.end) go_through_keys();
    this->finish();
  }

  MLX_FN void go_through_keys() {
    copy_keys(task.begin, 0);
    close_copies();
    copy_values(task.begin, 0);
    copy_keys(task.begin + step, 1);
    close_copies();
    load_queries();
    wait_copies<1>();
    publish_copies();
    __syncthreads();
    pin(queries);
    open_products();
    multiply_keys(0);
    close_products();
    wait_products<0>();
    pin(scores[0]);
    weigh_keys(task.begin);
    pack();
    int stage = 0, first = task.begin;
    for (; first + step < task.end; first += step, stage ^= 1) {
      wait_copies<0>();
      publish_copies();
      __syncthreads();  // the other stages are free, too
      copy_values(first + step, stage ^ 1);
      copy_keys(first + 2 * step, stage);
      close_copies();
      pin(sums[0]);
      pin(weights);
      open_products();
      multiply_keys(stage ^ 1);
      close_products();
      multiply_values(stage);
      close_products();
      wait_products<1>();
      pin(scores[0]);
      weigh_keys(first + step);
      wait_products<0>();
      pin(sums[0]);
      pin(weights);
      this->rescale();
      pack();
    }
    wait_copies<0>();
    publish_copies();
    __syncthreads();
    pin(sums[0]);
    pin(weights);
    open_products();
    multiply_values(stage);
    close_products();
    wait_products<0>();
    pin(sums[0]);
  }
};

template <typename T, int d, int e, int step, Hiding hiding, bool split>
MLX_FN void wgmma_attention(const AttentionCall& p) {
  extern __shared__ uint4 shared[];
  WgmmaAttention<T, d, e, step, hiding, split>(p, shared).run();
}

}  // namespace mlx::core::kernels
