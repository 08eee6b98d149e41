// Attention of few queries of half types to many keys, bound by memory: keys and values go from
// memory straight into the registers that tensor cores multiply, since terms of a sum may come in
// any order. Each warp has keys of its own; the warps' sums are merged at the end.
#pragma once

#include "mlx/backend/cuda/kernels/attention_mma.h"

namespace mlx::core::kernels {

/** `d`, `e`: columns, padded. A warp takes 16 keys at a time for 8 rows, or for 16 in two
 *  `halves`. */
template <typename T, int d, int e, int halves, int warps, Hiding hiding, bool split>
struct FewMmaAttention {
  static constexpr int rows = 8 * halves, turn = 16 * warps, each = 8;
  static constexpr int d_chunks = d / (4 * each), e_chunks = (e + 8 * each - 1) / (8 * each);
  static constexpr int columns = e_chunks * 8 * each;

  const AttentionCall& p;
  AttentionTask task;
  int lane, warp;
  float factor;
  // Row lane / 4 of each half. A lane has the pieces of 16 bytes that begin at columns
  // 8 (lane % 4), 8 (lane % 4) + 32, ...
  uint32_t queries[2 * d_chunks][4];
  uint4 keys[2][d_chunks];    // of key lane / 4 of both eights
  uint4 values[4][e_chunks];  // of keys 2 (lane % 4) and behind it, in both eights
  float sums[e_chunks * each][4];
  float scores[2][4];
  float highest[halves], totals[halves];
  RowSight sights[halves];

  MLX_FN FewMmaAttention(const AttentionCall& call)
      : p(call),
        task(find_task<rows, hiding>(call)),
        lane(threadIdx.x % 32),
        warp(threadIdx.x / 32),
        factor(score_factor<hiding>(call)) {
    await_earlier();
#pragma unroll
    for (int i = 0; i < 2 * d_chunks; i++) queries[i][1] = queries[i][3] = 0;
#pragma unroll
    for (int i = 0; i < e_chunks * each; i++) {
      for (int c = 0; c < 4; c++) sums[i][c] = 0;
    }
#pragma unroll
    for (int h = 0; h < halves; h++) load_queries(h);
  }

  MLX_FN void load_queries(int h) {
    highest[h] = -inf_f;
    totals[h] = 0;
    int row = task.first + 8 * h + lane / 4;
    row = row < task.rows ? row : task.rows - 1;
    sights[h] = sight_of<hiding>(p, task, row);
    const T* from = query_row<T>(p, task, row);
#pragma unroll
    for (int c = 0; c < d_chunks; c++) {
      uint4 words = words_at(from, (lane % 4 + 4 * c) * each, p.d);
      queries[2 * c][h] = words.x;
      queries[2 * c][h + 2] = words.y;
      queries[2 * c + 1][h] = words.z;
      queries[2 * c + 1][h + 2] = words.w;
    }
  }

  static MLX_FN uint4 words_at(const T* row, int column, int64_t width) {
    return column < width ? *reinterpret_cast<const uint4*>(row + column) : uint4{0, 0, 0, 0};
  }

  MLX_FN void load_keys(const T* all, int first) {
#pragma unroll
    for (int n = 0; n < 2; n++) {
      int key = first + 8 * n + lane / 4;
      const T* row = all + (key < task.end ? key : task.begin) * p.k_strides[2];
#pragma unroll
      for (int c = 0; c < d_chunks; c++) {
        keys[n][c] = words_at(row, (lane % 4 + 4 * c) * each, p.d);
      }
    }
  }

  MLX_FN void load_values(const T* all, int first) {
#pragma unroll
    for (int k = 0; k < 4; k++) {
      int key = first + k / 2 * 8 + lane % 4 * 2 + k % 2;
      bool present = key < task.end;
      const T* row = all + (present ? key : task.begin) * p.v_strides[2];
#pragma unroll
      for (int c = 0; c < e_chunks; c++) {
        values[k][c] = words_at(row, (lane / 4 + 8 * c) * each, present ? p.value_width : 0);
      }
    }
  }

  MLX_FN void multiply_keys() {
#pragma unroll
    for (int n = 0; n < 2; n++) {
      for (int c = 0; c < 4; c++) scores[n][c] = 0;
#pragma unroll
      for (int c = 0; c < d_chunks; c++) {
        multiply_tile<T>(scores[n], queries[2 * c], keys[n][c].x, keys[n][c].y);
        multiply_tile<T>(scores[n], queries[2 * c + 1], keys[n][c].z, keys[n][c].w);
      }
    }
  }

  /** The lane's score of a key in a half of the rows, as it is to be weighed. */
  MLX_FN float seen_score(float score, int key, int h) const {
    const RowSight& sight = sights[h];
    if constexpr (hiding == hide_general) {
      score *= static_cast<float>(p.scale);
      if (p.mask) {
        int64_t at = sight.mask + (key < task.end ? key : task.end - 1) * p.mask_strides[3];
        if (p.bool_mask) apply_mask(score, load<bool>(p.mask, at));
        if (!p.bool_mask) apply_mask(score, load<T>(p.mask, at));
      }
    }
    if (hiding != hide_none && sight.blind) score = 0;
    bool outside = key >= task.end || (hiding != hide_none && key >= sight.seen);
    return outside ? -inf_f : score;
  }

  /** Turns scores into weights, and brings sums to the measure of the highest score so far. */
  MLX_FN void weigh(int first) {
#pragma unroll
    for (int h = 0; h < halves; h++) {
      float high = highest[h];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        float& score = scores[i / 2][2 * h + i % 2];
        score = seen_score(score, first + i / 2 * 8 + lane % 4 * 2 + i % 2, h);
        high = fmaxf(high, score);
      }
      high = highest_of_row(high);
      float shift = shift_of<hiding>(high, factor);
      if (__any_sync(0xffffffffu, high != highest[h])) {
        float scale = weight_of<hiding>(highest[h], shift, factor);
        totals[h] *= scale;
#pragma unroll
        for (int i = 0; i < e_chunks * each; i++) {
          sums[i][2 * h] *= scale;
          sums[i][2 * h + 1] *= scale;
        }
        highest[h] = high;
      }
#pragma unroll
      for (int i = 0; i < 4; i++) {
        float& score = scores[i / 2][2 * h + i % 2];
        score = weight_of<hiding>(score, shift, factor);
        totals[h] += score;
      }
    }
  }

  MLX_FN uint32_t word_of(const uint4& words, int i) const {
    return i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w;
  }

  MLX_FN void add_values() {
    uint32_t weights[4] = {0, 0, 0, 0};
#pragma unroll
    for (int h = 0; h < halves; h++) {
      weights[h] = pack_pair<T>(scores[0][2 * h], scores[0][2 * h + 1]);
      weights[h + 2] = pack_pair<T>(scores[1][2 * h], scores[1][2 * h + 1]);
    }
#pragma unroll
    for (int c = 0; c < e_chunks; c++) {
#pragma unroll
      for (int i = 0; i < each; i++) {
        // One column of neighbouring keys, from the words that each have two columns of one.
        constexpr uint32_t low_halves = 0x5410, high_halves = 0x7632;
        uint32_t which = i % 2 ? high_halves : low_halves;
        uint32_t b0 =
            __byte_perm(word_of(values[0][c], i / 2), word_of(values[1][c], i / 2), which);
        uint32_t b1 =
            __byte_perm(word_of(values[2][c], i / 2), word_of(values[3][c], i / 2), which);
        add_column(sums[c * each + i], weights, b0, b1);
      }
    }
  }

  /** Eight rows leave the others of the product zero, which need no registers between turns. */
  MLX_FN void add_column(float (&sum)[4], const uint32_t (&weights)[4], uint32_t b0, uint32_t b1) {
    if constexpr (halves == 2) {
      multiply_tile<T>(sum, weights, b0, b1);
    } else {
      float whole[4] = {sum[0], sum[1], 0, 0};
      multiply_tile<T>(whole, weights, b0, b1);
      sum[0] = whole[0];
      sum[1] = whole[1];
    }
  }

  /** Brings the warps together and writes the rows. */
  MLX_FN void finish() {
    __shared__ float all_sums[warps][rows][columns];
    __shared__ PartFacts all_facts[warps][rows];
#pragma unroll
    for (int h = 0; h < halves; h++) {
      float total = sum_of_row(totals[h]);
      int row = 8 * h + lane / 4;
      if (lane % 4 == 0) all_facts[warp][row] = {highest[h], total};
#pragma unroll
      for (int i = 0; i < e_chunks * each; i++) {
        int column = i / each * 64 + lane % 4 * 16 + i % each;
        all_sums[warp][row][column] = sums[i][2 * h];
        all_sums[warp][row][column + each] = sums[i][2 * h + 1];
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
    int first = task.begin + 16 * warp;
    load_keys(all_keys, first);
    for (; first < task.end; first += turn) {
      load_values(all_values, first);
      multiply_keys();
      load_keys(all_keys, first + turn);
      weigh(first);
      add_values();
    }
    finish();
  }
};

template <typename T, int d, int e, int halves, int warps, Hiding hiding, bool split>
MLX_FN void few_mma_attention(const AttentionCall& p) {
  FewMmaAttention<T, d, e, halves, warps, hiding, split>(p).run();
}

}  // namespace mlx::core::kernels
