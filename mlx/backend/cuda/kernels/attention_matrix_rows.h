// Rows of scores and sums as tensor cores leave them: four lanes share a row, and a lane has two
// neighbours of each eight columns in rows r and r + 8 of sixteen. Keys lie so in shared memory
// that the columns of scores which a lane has are sixteen neighbours.
#pragma once

#include "mlx/backend/cuda/kernels/attention_copies.h"

namespace mlx::core::kernels {

template <typename T>
MLX_FN uint32_t pack_pair(float low, float high) {
  uint32_t r;
  if constexpr (is_same<T, Half>) {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  }
  return r;
}

template <typename T>
MLX_FN void put_pair(T* to, float low, float high) {
  if constexpr (is_same<T, float>) {
    *reinterpret_cast<float2*>(to) = {low, high};
  } else {
    *reinterpret_cast<uint32_t*>(to) = pack_pair<T>(low, high);
  }
}

/** Reductions over the four lanes that hold one row. */
MLX_FN float highest_of_row(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
MLX_FN float sum_of_row(float x) {
  x += __shfl_xor_sync(0xffffffffu, x, 1);
  return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

/** The rows of one warp, `tiles` times 16; `e`: columns of values, padded. */
template <typename T, int e, int tiles, int step, Hiding hiding, bool split>
struct MatrixRows {
  static_assert(step == 64);

  const AttentionCall& p;
  AttentionTask task;
  int lane, warp_row;
  float factor;
  float scores[tiles][step / 8][4], sums[tiles][e / 8][4];
  float highest[tiles][2], totals[tiles][2], scales[tiles][2];

  MLX_FN MatrixRows(const AttentionCall& call, const AttentionTask& part)
      : p(call),
        task(part),
        lane(threadIdx.x % 32),
        warp_row(threadIdx.x / 32 * 16 * tiles),
        factor(score_factor<hiding>(call)) {
#pragma unroll
    for (int t = 0; t < tiles; t++) {
#pragma unroll
      for (int j = 0; j < e / 8; j++) {
        for (int c = 0; c < 4; c++) sums[t][j][c] = 0;
      }
      for (int half = 0; half < 2; half++) {
        highest[t][half] = -inf_f;
        totals[t][half] = 0;
      }
    }
  }

  MLX_FN int row_of(int tile, int half) const {
    return task.first + warp_row + tile * 16 + half * 8 + lane / 4;
  }

  /** Hides keys from `first` on, and scales scores where that was left to do. */
  MLX_FN void hide(int first) {
    first += lane % 4 * 16;
#pragma unroll
    for (int t = 0; t < tiles; t++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        RowSight sight = sight_of<hiding>(p, task, row_of(t, half));
        if constexpr (hiding == hide_general) {
          scale_row(t, half);
          if (p.mask && p.bool_mask) mask_row<bool>(t, half, sight.mask, first);
          if (p.mask && !p.bool_mask) mask_row<T>(t, half, sight.mask, first);
        }
        int seen = task.end < sight.seen ? task.end : sight.seen;
#pragma unroll
        for (int j = 0; j < step / 8; j++) {
#pragma unroll
          for (int c = 0; c < 2; c++) {
            float& score = scores[t][j][2 * half + c];
            if (hiding != hide_none && sight.blind) score = 0;
            if (first + j * 2 + c >= seen) score = -inf_f;
          }
        }
      }
    }
  }

  MLX_FN void scale_row(int t, int half) {
    float scale = static_cast<float>(p.scale);
#pragma unroll
    for (int j = 0; j < step / 8; j++) {
      scores[t][j][2 * half] *= scale;
      scores[t][j][2 * half + 1] *= scale;
    }
  }

  /** The mask of the row for the lane's sixteen keys. */
  template <typename M>
  MLX_FN void mask_row(int t, int half, int64_t row, int first) {
    constexpr int each = 16 / sizeof(Stored<M>);
    const auto* mask = static_cast<const Stored<M>*>(p.mask) + row;
    int keys = static_cast<int>(p.keys);
    if (p.wide_mask) {
      first = first < keys ? first : keys - 16;
#pragma unroll
      for (int i = 0; i < 16; i += each) {
        auto pack = load_pack<M, each>(mask, first + i);
#pragma unroll
        for (int k = 0; k < each; k++) {
          float& score = scores[t][(i + k) / 2][2 * half + k % 2];
          apply_mask(score, from_stored<M>(pack.at[k]));
        }
      }
    } else {
#pragma unroll
      for (int k = 0; k < 16; k++) {
        int64_t key = first + k < keys ? first + k : keys - 1;
        apply_mask(scores[t][k / 2][2 * half + k % 2], load<M>(mask, key * p.mask_strides[3]));
      }
    }
  }

  /** Turns scores into weights; sums made before are then to be rescaled. */
  MLX_FN void weigh() {
#pragma unroll
    for (int t = 0; t < tiles; t++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float high = highest[t][half];
#pragma unroll
        for (int j = 0; j < step / 8; j++) {
          high = fmaxf(high, fmaxf(scores[t][j][2 * half], scores[t][j][2 * half + 1]));
        }
        high = highest_of_row(high);
        float shift = shift_of<hiding>(high, factor);
        float scale = weight_of<hiding>(highest[t][half], shift, factor);
        scales[t][half] = scale;
        highest[t][half] = high;
        float total = 0;
#pragma unroll
        for (int j = 0; j < step / 8; j++) {
#pragma unroll
          for (int c = 2 * half; c < 2 * half + 2; c++) {
            scores[t][j][c] = weight_of<hiding>(scores[t][j][c], shift, factor);
            total += scores[t][j][c];
          }
        }
        totals[t][half] = madd(totals[t][half], scale, total);
      }
    }
  }

  /** Brings what was summed before to the new highest score. */
  MLX_FN void rescale() {
#pragma unroll
    for (int t = 0; t < tiles; t++) {
#pragma unroll
      for (int j = 0; j < e / 8; j++) {
#pragma unroll
        for (int c = 0; c < 4; c++) sums[t][j][c] *= scales[t][c / 2];
      }
    }
  }

  /** The weights of the sixteen keys from 16 i on, as a factor of a product. */
  MLX_FN void pack_weights(uint32_t (&a)[4], int t, int i) const {
#pragma unroll
    for (int c = 0; c < 4; c++) {
      const float(&pair)[4] = scores[t][2 * i + c / 2];
      a[c] = pack_pair<T>(pair[c % 2 * 2], pair[c % 2 * 2 + 1]);
    }
  }

  MLX_FN void finish() {
#pragma unroll
    for (int t = 0; t < tiles; t++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float total = sum_of_row(totals[t][half]);
        int row = row_of(t, half);
        if (row >= task.rows) continue;
        int64_t number = row_number(task, row);
        if (split && lane % 4 == 0) *part_facts(p, blockIdx.y, number) = {highest[t][half], total};
        float* part = split ? part_sums(p, blockIdx.y, number) : nullptr;
        T* out = split ? nullptr : static_cast<T*>(p.out) + place_of_result(p, number);
        RowEnd end{1, 0};
        if constexpr (!split) {
          end = end_row<T, hiding>(p, number, highest[t][half], total);
          if (lane % 4 == 0) p.logsumexp[number] = end.logsumexp;
        }
#pragma unroll
        for (int j = 0; j < e / 8; j++) {
          int column = j * 8 + lane % 4 * 2;
          float low = sums[t][j][2 * half], high = sums[t][j][2 * half + 1];
          if constexpr (split) {
            if (column < p.e) part[column] = low;
            if (column + 1 < p.e) part[column + 1] = high;
          } else if (p.e % 2 == 0) {
            if (column < p.e) put_pair(out + column, low * end.scale, high * end.scale);
          } else {
            if (column < p.e) out[column] = rounded<T>(low * end.scale);
            if (column + 1 < p.e) out[column + 1] = rounded<T>(high * end.scale);
          }
        }
      }
    }
  }
};

}  // namespace mlx::core::kernels
