// Attention of float32 in plain float arithmetic: each thread has a tile of scores and of sums in
// registers, made from rows in shared memory. The weights of a row stay within one warp.
#pragma once

#include "mlx/backend/cuda/kernels/attention_copies.h"

namespace mlx::core::kernels {

MLX_FN float4 load_four(const float* at) { return *reinterpret_cast<const float4*>(at); }

MLX_FN float dot_four(float4 a, float4 b, float c) {
  return madd(a.w, b.w, madd(a.z, b.z, madd(a.y, b.y, madd(a.x, b.x, c))));
}
MLX_FN void add_scaled(float (&c)[4], float a, float4 b) {
  c[0] = madd(a, b.x, c[0]);
  c[1] = madd(a, b.y, c[1]);
  c[2] = madd(a, b.z, c[2]);
  c[3] = madd(a, b.w, c[3]);
}

/** `d`, `e`: columns, padded. Eight lanes share `height` rows; `step` keys go at a time. */
template <int d, int e, int height, int warps, int step, Hiding hiding, bool split>
struct TileAttention {
  static constexpr int threads = 32 * warps, row_groups = 4 * warps, rows = height * row_groups;
  static constexpr int d_pitch = d + 4, e_pitch = e + 4, weight_pitch = step + 8;

  const AttentionCall& p;
  AttentionTask task;
  float *queries, *keys, *values, *weights;
  int lane, group;  // the column's place among eight, the row's among all groups
  float factor;
  float scores[height][step / 8], sums[height][e / 32][4];
  float highest[height], totals[height];

  MLX_FN int row_of(int i) const { return task.first + group + i * row_groups; }

  MLX_FN void start() {
#pragma unroll
    for (int i = 0; i < height; i++) {
      highest[i] = -inf_f;
      totals[i] = 0;
#pragma unroll
      for (int j = 0; j < e / 32; j++) {
        for (int c = 0; c < 4; c++) sums[i][j][c] = 0;
      }
    }
  }

  MLX_FN void multiply_keys() {
#pragma unroll
    for (int i = 0; i < height; i++) {
#pragma unroll
      for (int j = 0; j < step / 8; j++) scores[i][j] = 0;
    }
    const float *k = keys + lane * d_pitch, *q = queries + group * d_pitch;
#pragma unroll 1
    for (int at = 0; at < d; at += 4) {
      float4 key[step / 8];
#pragma unroll
      for (int j = 0; j < step / 8; j++) key[j] = load_four(k + j * 8 * d_pitch + at);
#pragma unroll
      for (int i = 0; i < height; i++) {
        float4 query = load_four(q + i * row_groups * d_pitch + at);
#pragma unroll
        for (int j = 0; j < step / 8; j++) scores[i][j] = dot_four(query, key[j], scores[i][j]);
      }
    }
  }

  /** Hides keys from `first` on, and scales scores where that was left to do. */
  MLX_FN void hide(int first) {
    first += lane;
#pragma unroll
    for (int i = 0; i < height; i++) {
      RowSight sight = sight_of<hiding>(p, task, row_of(i));
      if constexpr (hiding == hide_general) {
#pragma unroll
        for (int j = 0; j < step / 8; j++) scores[i][j] *= static_cast<float>(p.scale);
        if (p.mask && p.bool_mask) mask_row<bool>(i, sight.mask, first);
        if (p.mask && !p.bool_mask) mask_row<float>(i, sight.mask, first);
      }
      int seen = task.end < sight.seen ? task.end : sight.seen;
#pragma unroll
      for (int j = 0; j < step / 8; j++) {
        if (hiding != hide_none && sight.blind) scores[i][j] = 0;
        if (first + j * 8 >= seen) scores[i][j] = -inf_f;
      }
    }
  }

  template <typename M>
  MLX_FN void mask_row(int i, int64_t row, int first) {
    const auto* mask = static_cast<const Stored<M>*>(p.mask) + row;
    int last = static_cast<int>(p.keys) - 1;
#pragma unroll
    for (int j = 0; j < step / 8; j++) {
      int key = first + j * 8 < last ? first + j * 8 : last;
      apply_mask(scores[i][j], load<M>(mask, key * p.mask_strides[3]));
    }
  }

  /** Turns scores into weights, and brings what was summed before to the new highest score. */
  MLX_FN void weigh() {
#pragma unroll
    for (int i = 0; i < height; i++) {
      float high = highest[i];
#pragma unroll
      for (int j = 0; j < step / 8; j++) high = fmaxf(high, scores[i][j]);
#pragma unroll
      for (int s = 1; s < 8; s *= 2) high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, s));
      float shift = shift_of<hiding>(high, factor);
      float scale = weight_of<hiding>(highest[i], shift, factor);
      highest[i] = high;
      float total = 0;
      float* row = weights + (group + i * row_groups) * weight_pitch + lane;
#pragma unroll
      for (int j = 0; j < step / 8; j++) {
        float weight = weight_of<hiding>(scores[i][j], shift, factor);
        total += weight;
        row[j * 8] = weight;
      }
      totals[i] = madd(totals[i], scale, total);
#pragma unroll
      for (int j = 0; j < e / 32; j++) {
#pragma unroll
        for (int c = 0; c < 4; c++) sums[i][j][c] *= scale;
      }
    }
  }

  MLX_FN void add_values() {
    const float *v = values + lane * 4, *w = weights + group * weight_pitch;
#pragma unroll 1
    for (int key = 0; key < step; key += 4) {
      float4 weight[height];
#pragma unroll
      for (int i = 0; i < height; i++)
        weight[i] = load_four(w + i * row_groups * weight_pitch + key);
#pragma unroll
      for (int j = 0; j < e / 32; j++) {
        const float* column = v + key * e_pitch + j * 32;
        float4 v0 = load_four(column), v1 = load_four(column + e_pitch);
        float4 v2 = load_four(column + 2 * e_pitch), v3 = load_four(column + 3 * e_pitch);
#pragma unroll
        for (int i = 0; i < height; i++) {
          add_scaled(sums[i][j], weight[i].x, v0);
          add_scaled(sums[i][j], weight[i].y, v1);
          add_scaled(sums[i][j], weight[i].z, v2);
          add_scaled(sums[i][j], weight[i].w, v3);
        }
      }
    }
  }

  MLX_FN void finish() {
#pragma unroll
    for (int i = 0; i < height; i++) {
      float total = totals[i];
#pragma unroll
      for (int s = 1; s < 8; s *= 2) total += __shfl_xor_sync(0xffffffffu, total, s);
      int row = row_of(i);
      if (row >= task.rows) continue;
      int64_t number = row_number(task, row);
      if (split && lane == 0) *part_facts(p, blockIdx.y, number) = {highest[i], total};
      float* out = split ? part_sums(p, blockIdx.y, number)
                         : static_cast<float*>(p.out) + place_of_result(p, number);
      RowEnd end{1, 0};
      if constexpr (!split) {
        end = end_row<float, hiding>(p, number, highest[i], total);
        if (lane == 0) p.logsumexp[number] = end.logsumexp;
      }
#pragma unroll
      for (int j = 0; j < e / 32; j++) {
        int column = j * 32 + lane * 4;
        float* sum = sums[i][j];
        if (p.e % 4 == 0) {
          if (column < p.e) {
            *reinterpret_cast<float4*>(out + column) = {sum[0] * end.scale, sum[1] * end.scale,
                                                        sum[2] * end.scale, sum[3] * end.scale};
          }
        } else {
#pragma unroll
          for (int c = 0; c < 4; c++) {
            if (column + c < p.e) out[column + c] = sum[c] * end.scale;
          }
        }
      }
    }
  }

  MLX_FN void run() {
    const float *all_keys = key_rows<float>(p, task), *all_values = value_rows<float>(p, task);
    int width = static_cast<int>(p.d), value_width = static_cast<int>(p.value_width);
    copy_queries<float, rows, d, d_pitch, threads>(queries, p, task);
    copy_rows<float, step, d, d_pitch, threads>(keys, all_keys, p.k_strides[2], task.begin,
                                                task.end, width);
    close_copies();
    start();
    for (int first = task.begin; first < task.end; first += step) {
      wait_copies<0>();
      __syncthreads();
      copy_rows<float, step, e, e_pitch, threads>(values, all_values, p.v_strides[2], first,
                                                  task.end, value_width);
      close_copies();
      multiply_keys();
      wait_copies<0>();
      __syncthreads();
      if (first + step < task.end) {
        copy_rows<float, step, d, d_pitch, threads>(keys, all_keys, p.k_strides[2], first + step,
                                                    task.end, width);
        close_copies();
      }
      if (first + step > task.open || first + step > task.end) hide(first);
      weigh();
      __syncwarp();
      add_values();
      __syncwarp();
    }
    finish();
  }
};

template <int d, int e, int height, int warps, int step, Hiding hiding, bool split>
MLX_FN void tile_attention(const AttentionCall& p) {
  using Work = TileAttention<d, e, height, warps, step, hiding, split>;
  extern __shared__ uint4 shared[];
  float* queries = reinterpret_cast<float*>(shared);
  float* keys = queries + Work::rows * Work::d_pitch;
  float* values = keys + step * Work::d_pitch;
  float* weights = values + step * Work::e_pitch;
  int lane = threadIdx.x % 8, group = threadIdx.x / 8;
  Work work{p,     find_task<Work::rows, hiding>(p), queries, keys, values, weights, lane,
            group, score_factor<hiding>(p)};
  work.run();
}

}  // namespace mlx::core::kernels
