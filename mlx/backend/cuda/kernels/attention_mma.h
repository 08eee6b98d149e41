// Attention of half types by tensor cores: each warp keeps the scores and sums of its rows in
// registers, in the layout of the m16n8k16 products, and keys and values pass through shared
// memory.
#pragma once

#include "mlx/backend/cuda/kernels/attention_matrix_rows.h"
#include "mlx/backend/cuda/kernels/warp_products.h"

namespace mlx::core::kernels {

/** `d`, `e`: columns, padded. A warp has `tiles` times 16 rows; `step` keys go at a time. */
template <typename T, int d, int e, int tiles, int warps, int step, Hiding hiding, bool split>
struct MmaAttention : MatrixRows<T, e, tiles, step, hiding, split> {
  using Rows = MatrixRows<T, e, tiles, step, hiding, split>;
  using Rows::lane, Rows::p, Rows::scores, Rows::sums, Rows::task, Rows::warp_row;
  static constexpr int rows = 16 * tiles * warps, threads = 32 * warps;
  static constexpr int d_pitch = d + 8, e_pitch = e + 8;  // rows begin in different banks

  T *queries, *keys, *values;

  MLX_FN MmaAttention(const AttentionCall& call, T* shared)
      : Rows(call, find_task<rows, hiding>(call)),
        queries(shared),
        keys(queries + rows * d_pitch),
        values(keys + step * d_pitch) {}

  MLX_FN void multiply_keys() {
#pragma unroll
    for (int t = 0; t < tiles; t++) {
#pragma unroll
      for (int j = 0; j < step / 8; j++) {
        for (int c = 0; c < 4; c++) scores[t][j][c] = 0;
      }
    }
    uint32_t q = shared_address(queries + (warp_row + lane % 16) * d_pitch + lane / 16 * 8);
    uint32_t k = shared_address(keys + (lane / 16 * 8 + lane % 8) * d_pitch + lane / 8 % 2 * 8);
#pragma unroll
    for (int i = 0; i < d / 16; i++) {
      uint32_t a[tiles][4];
#pragma unroll
      for (int t = 0; t < tiles; t++) load_matrices(a[t], q + (t * 16 * d_pitch + i * 16) * 2);
#pragma unroll
      for (int j = 0; j < step / 16; j++) {
        uint32_t b[4];
        load_matrices(b, k + (j * 16 * d_pitch + i * 16) * 2);
#pragma unroll
        for (int t = 0; t < tiles; t++) {
          multiply_tile<T>(scores[t][2 * j], a[t], b[0], b[1]);
          multiply_tile<T>(scores[t][2 * j + 1], a[t], b[2], b[3]);
        }
      }
    }
  }

  MLX_FN void add_values() {
    uint32_t v = shared_address(values + lane % 16 * e_pitch + lane / 16 * 8);
#pragma unroll
    for (int i = 0; i < step / 16; i++) {
      uint32_t a[tiles][4];
#pragma unroll
      for (int t = 0; t < tiles; t++) this->pack_weights(a[t], t, i);
#pragma unroll
      for (int j = 0; j < e / 16; j++) {
        uint32_t b[4];
        load_transposed(b, v + (i * 16 * e_pitch + j * 16) * 2);
#pragma unroll
        for (int t = 0; t < tiles; t++) {
          multiply_tile<T>(sums[t][2 * j], a[t], b[0], b[1]);
          multiply_tile<T>(sums[t][2 * j + 1], a[t], b[2], b[3]);
        }
      }
    }
  }

  MLX_FN void run() {
    const T *all_keys = key_rows<T>(p, task), *all_values = value_rows<T>(p, task);
    int width = static_cast<int>(p.d), value_width = static_cast<int>(p.value_width);
    copy_queries<T, rows, d, d_pitch, threads>(queries, p, task);
    copy_rows<T, step, d, d_pitch, threads, true>(keys, all_keys, p.k_strides[2], task.begin,
                                                  task.end, width);
    close_copies();
    for (int first = task.begin; first < task.end; first += step) {
      wait_copies<0>();
      __syncthreads();
      copy_rows<T, step, e, e_pitch, threads, true>(values, all_values, p.v_strides[2], first,
                                                    task.end, value_width);
      close_copies();
      multiply_keys();
      wait_copies<0>();
      __syncthreads();
      if (first + step < task.end) {
        copy_rows<T, step, d, d_pitch, threads, true>(keys, all_keys, p.k_strides[2], first + step,
                                                      task.end, width);
        close_copies();
      }
      if (first + step > task.open || first + step > task.end) this->hide(first);
      this->weigh();
      this->rescale();
      add_values();
    }
    this->finish();
  }
};

template <typename T, int d, int e, int tiles, int warps, int step, Hiding hiding, bool split>
MLX_FN void mma_attention(const AttentionCall& p) {
  extern __shared__ uint4 shared[];
  using Work = MmaAttention<T, d, e, tiles, warps, step, hiding, split>;
  Work(p, reinterpret_cast<T*>(shared)).run();
}

}  // namespace mlx::core::kernels
