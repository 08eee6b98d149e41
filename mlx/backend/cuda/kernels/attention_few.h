// Attention of few queries to many keys, bound by memory: a group of lanes reads a key and a value
// at a time and keeps sums of its own for all rows, which are merged at the end.
#pragma once

#include "mlx/backend/cuda/kernels/attention.h"

namespace mlx::core::kernels {

/** Sixteen bytes of a row as floats. */
template <typename T>
MLX_FN void load_chunk(float (&to)[16 / sizeof(T)], uint4 words) {
  const uint32_t word[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if constexpr (is_same<T, float>) {
      to[i] = float_of(word[i]);
    } else {
      to[2 * i] = computed(T{static_cast<uint16_t>(word[i] & 0xffffu)});
      to[2 * i + 1] = computed(T{static_cast<uint16_t>(word[i] >> 16)});
    }
  }
}

/** `d`, `e`: columns, padded. `lanes` of a warp share a key; each group takes `step` at a time. */
template <typename T, int d, int e, int rows, int lanes, int warps, int step, Hiding hiding,
          bool split>
struct FewAttention {
  static constexpr int each = 16 / sizeof(T), groups = 32 / lanes * warps;
  static constexpr int d_chunks = (d + each * lanes - 1) / (each * lanes);
  static constexpr int e_chunks = (e + each * lanes - 1) / (each * lanes);
  static constexpr int columns = e_chunks * lanes * each;

  const AttentionCall& p;
  AttentionTask task;
  int lane, group;
  float factor;
  float queries[rows][d_chunks][each], sums[rows][e_chunks][each];
  float highest[rows], totals[rows];
  RowSight sights[rows];

  MLX_FN void start() {
#pragma unroll
    for (int r = 0; r < rows; r++) {
      highest[r] = -inf_f;
      totals[r] = 0;
      int row = task.first + r < task.rows ? task.first + r : task.rows - 1;
      sights[r] = sight_of<hiding>(p, task, row);
      const T* from = query_row<T>(p, task, row);
#pragma unroll
      for (int c = 0; c < d_chunks; c++) load_chunk<T>(queries[r][c], words_at(from, c, p.d));
#pragma unroll
      for (int c = 0; c < e_chunks; c++) {
        for (int i = 0; i < each; i++) sums[r][c][i] = 0;
      }
    }
  }

  MLX_FN uint4 words_at(const T* row, int chunk, int64_t width) const {
    int column = (lane + chunk * lanes) * each;
    return column < width ? *reinterpret_cast<const uint4*>(row + column) : uint4{0, 0, 0, 0};
  }

  MLX_FN float product(const uint4 (&key)[d_chunks], int r) const {
    float sum = 0;
#pragma unroll
    for (int c = 0; c < d_chunks; c++) {
      float x[each];
      load_chunk<T>(x, key[c]);
#pragma unroll
      for (int i = 0; i < each; i++) sum = madd(x[i], queries[r][c][i], sum);
    }
#pragma unroll
    for (int s = 1; s < lanes; s *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, s);
    return sum;
  }

  /** The keys first, first + groups, ... */
  MLX_FN void take(int first, const T* all_keys, const T* all_values) {
    uint4 key[step][d_chunks], value[step][e_chunks];
#pragma unroll
    for (int u = 0; u < step; u++) {
      int at = first + u * groups;
      bool present = at < task.end;
      const T* row = all_keys + (present ? at : task.begin) * p.k_strides[2];
#pragma unroll
      for (int c = 0; c < d_chunks; c++) key[u][c] = words_at(row, c, present ? p.d : 0);
    }
#pragma unroll
    for (int u = 0; u < step; u++) {
      int at = first + u * groups;
      bool present = at < task.end;
      const T* row = all_values + (present ? at : task.begin) * p.v_strides[2];
#pragma unroll
      for (int c = 0; c < e_chunks; c++)
        value[u][c] = words_at(row, c, present ? p.value_width : 0);
    }
    float weights[step][rows];  // at first what the mask has
    if (hiding == hide_general && p.mask) load_mask(first, weights);
#pragma unroll
    for (int r = 0; r < rows; r++) weigh(first, key, weights, r);
#pragma unroll
    for (int u = 0; u < step; u++) {
#pragma unroll
      for (int c = 0; c < e_chunks; c++) {
        float x[each];
        load_chunk<T>(x, value[u][c]);
#pragma unroll
        for (int r = 0; r < rows; r++) {
#pragma unroll
          for (int i = 0; i < each; i++) sums[r][c][i] = madd(weights[u][r], x[i], sums[r][c][i]);
        }
      }
    }
  }

  MLX_FN void weigh(int first, const uint4 (&key)[step][d_chunks], float (&weights)[step][rows],
                    int r) {
    float high = highest[r];
#pragma unroll
    for (int u = 0; u < step; u++) {
      weights[u][r] = score_of(first + u * groups, product(key[u], r), weights[u][r], sights[r]);
      high = fmaxf(high, weights[u][r]);
    }
    float shift = shift_of<hiding>(high, factor);
    if (high != highest[r]) {
      rescale(r, weight_of<hiding>(highest[r], shift, factor));
      highest[r] = high;
    }
#pragma unroll
    for (int u = 0; u < step; u++) {
      weights[u][r] = weight_of<hiding>(weights[u][r], shift, factor);
      totals[r] += weights[u][r];
    }
  }

  MLX_FN void load_mask(int first, float (&mask)[step][rows]) const {
#pragma unroll
    for (int u = 0; u < step; u++) {
      int64_t key = first + u * groups < task.end ? first + u * groups : task.end - 1;
#pragma unroll
      for (int r = 0; r < rows; r++) {
        int64_t at = sights[r].mask + key * p.mask_strides[3];
        mask[u][r] = p.bool_mask ? load<bool>(p.mask, at) : computed(load<T>(p.mask, at));
      }
    }
  }

  MLX_FN float score_of(int key, float score, float mask, const RowSight& sight) const {
    if constexpr (hiding == hide_general) {
      score *= static_cast<float>(p.scale);
      if (p.mask && p.bool_mask) apply_mask(score, mask != 0);
      if (p.mask && !p.bool_mask) apply_mask(score, mask);
    }
    if (hiding != hide_none && sight.blind) score = 0;
    bool outside = key >= task.end || (hiding != hide_none && key >= sight.seen);
    return outside ? -inf_f : score;
  }

  MLX_FN void rescale(int r, float scale) {
    totals[r] *= scale;
#pragma unroll
    for (int c = 0; c < e_chunks; c++) {
#pragma unroll
      for (int i = 0; i < each; i++) sums[r][c][i] *= scale;
    }
  }

  /** Brings the warp's groups together: afterwards each has all. */
  MLX_FN void merge_groups() {
#pragma unroll
    for (int r = 0; r < rows; r++) {
      float high = highest[r];
#pragma unroll
      for (int s = lanes; s < 32; s *= 2) high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, s));
      rescale(r, weight_of<hiding>(highest[r], shift_of<hiding>(high, factor), factor));
      highest[r] = high;
#pragma unroll
      for (int s = lanes; s < 32; s *= 2) {
        totals[r] += __shfl_xor_sync(0xffffffffu, totals[r], s);
#pragma unroll
        for (int c = 0; c < e_chunks; c++) {
#pragma unroll
          for (int i = 0; i < each; i++) {
            sums[r][c][i] += __shfl_xor_sync(0xffffffffu, sums[r][c][i], s);
          }
        }
      }
    }
  }

  /** Brings the warps together and writes the rows. */
  MLX_FN void finish() {
    __shared__ float all_sums[warps][rows][columns];
    __shared__ PartFacts all_facts[warps][rows];
    merge_groups();
    int warp = threadIdx.x / 32;
    if (threadIdx.x % 32 < lanes) {
#pragma unroll
      for (int r = 0; r < rows; r++) {
        if (lane == 0) all_facts[warp][r] = {highest[r], totals[r]};
#pragma unroll
        for (int c = 0; c < e_chunks; c++) {
#pragma unroll
          for (int i = 0; i < each; i++) {
            all_sums[warp][r][(lane + c * lanes) * each + i] = sums[r][c][i];
          }
        }
      }
    }
    __syncthreads();
    int present = task.rows - task.first < rows ? task.rows - task.first : rows;
    put_sums_of_warps<T, hiding, split>(p, task, present, factor, all_sums, all_facts);
    if constexpr (split) {
      merge_if_last<T, hiding>(p, row_number(task, task.first), present, &all_sums[0][0][0]);
    }
  }

  MLX_FN void run() {
    const T *all_keys = key_rows<T>(p, task), *all_values = value_rows<T>(p, task);
    start();
    // All groups make the same number of turns, since they exchange values.
    for (int first = task.begin; first < task.end; first += groups * step) {
      take(first + group, all_keys, all_values);
    }
    finish();
  }
};

template <typename T, int d, int e, int rows, int lanes, int warps, int step, Hiding hiding,
          bool split>
MLX_FN void few_attention(const AttentionCall& p) {
  using Work = FewAttention<T, d, e, rows, lanes, warps, step, hiding, split>;
  Work work{p, find_task<rows, hiding>(p), static_cast<int>(threadIdx.x) % lanes,
            static_cast<int>(threadIdx.x) / lanes, score_factor<hiding>(p)};
  work.run();
}

}  // namespace mlx::core::kernels
