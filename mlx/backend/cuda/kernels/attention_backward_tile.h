// Attention's backward pass for float32 in plain float arithmetic: each thread has tiles of scores
// and of gradients in registers. The weights of a row stay within one warp.
#pragma once

#include "mlx/backend/cuda/kernels/attention_backward.h"
#include "mlx/backend/cuda/kernels/attention_tile.h"

namespace mlx::core::kernels {

/** `d`, `e`: columns, padded. Eight lanes share `height` rows. Of the gradients a block makes one
 * of `slices` parts of the columns. `step` columns of scores go at a time. */
template <int d, int e, int height, int warps, int step, int slices, Hiding hiding,
          bool keys_are_rows>
struct TileBackward {
  static constexpr int threads = 32 * warps, groups = 4 * warps, rows = height * groups;
  static constexpr int pitch = step + 8;
  static constexpr int d_part = d / slices, e_part = keys_are_rows ? e / slices : 32;
  using Operands = BackwardOperands<float, d, e, rows, step, threads, keys_are_rows>;

  const AttentionBackwardCall& p;
  Operands operands;
  QueryFacts* facts;  // of the columns, in shared memory
  float* left;        // weights or gradients, as left factors
  int lane, group, slice;
  QueryFacts row_facts[height];
  float totals[height];
  float d_sums[height][d_part / 32][4], e_sums[height][e_part / 32][4];
  float weights[height][step / 8], gradients[height][step / 8];

  MLX_FN TileBackward(const AttentionBackwardCall& call, const BackwardTask& task, float* shared)
      : p(call),
        operands(call, task, columns_of<rows, step, hiding, keys_are_rows>(call, task.first),
                 shared),
        facts(reinterpret_cast<QueryFacts*>(operands.stages + Operands::stage_size)),
        left(reinterpret_cast<float*>(facts + step)),
        lane(threadIdx.x % 8),
        group(threadIdx.x / 8),
        slice(blockIdx.y) {
    clear(d_sums);
    clear(e_sums);
#pragma unroll
    for (int i = 0; i < height; i++) {
      totals[i] = 0;
      if constexpr (!keys_are_rows) {
        row_facts[i] = facts_of<hiding, keys_are_rows>(call, task.batch, task.head, row_of(i));
      }
    }
  }

  template <int n>
  MLX_FN static void clear(float (&x)[height][n][4]) {
#pragma unroll
    for (int i = 0; i < height; i++) {
#pragma unroll
      for (int j = 0; j < n; j++) {
        for (int c = 0; c < 4; c++) x[i][j][c] = 0;
      }
    }
  }
  MLX_FN int row_of(int i) const { return operands.task.first + group + i * groups; }

  /** to = rows columns^T */
  template <int width, int width_pitch>
  MLX_FN void multiply(float (&to)[height][step / 8], const float* row, const float* column) const {
#pragma unroll
    for (int i = 0; i < height; i++) {
#pragma unroll
      for (int j = 0; j < step / 8; j++) to[i][j] = 0;
    }
    row += group * width_pitch;
    column += lane * width_pitch;
#pragma unroll 1
    for (int at = 0; at < width; at += 4) {
      float4 b[step / 8];
#pragma unroll
      for (int j = 0; j < step / 8; j++) b[j] = load_four(column + j * 8 * width_pitch + at);
#pragma unroll
      for (int i = 0; i < height; i++) {
        float4 a = load_four(row + i * groups * width_pitch + at);
#pragma unroll
        for (int j = 0; j < step / 8; j++) to[i][j] = dot_four(a, b[j], to[i][j]);
      }
    }
  }

  /** to += x columns, for the slice's part of the columns' width */
  template <int part, int width_pitch>
  MLX_FN void add_product(float (&to)[height][part / 32][4], const float (&x)[height][step / 8],
                          const float* column) const {
    float* own = left + group * pitch;
    __syncwarp();
#pragma unroll
    for (int i = 0; i < height; i++) {
#pragma unroll
      for (int j = 0; j < step / 8; j++) own[i * groups * pitch + lane + j * 8] = x[i][j];
    }
    __syncwarp();
    column += slice * part + lane * 4;
#pragma unroll 1
    for (int at = 0; at < step; at += 4) {
      float4 a[height];
#pragma unroll
      for (int i = 0; i < height; i++) a[i] = load_four(own + i * groups * pitch + at);
#pragma unroll
      for (int j = 0; j < part / 32; j++) {
        const float* from = column + at * width_pitch + j * 32;
        float4 b0 = load_four(from), b1 = load_four(from + width_pitch);
        float4 b2 = load_four(from + 2 * width_pitch), b3 = load_four(from + 3 * width_pitch);
#pragma unroll
        for (int i = 0; i < height; i++) {
          add_scaled(to[i][j], a[i].x, b0);
          add_scaled(to[i][j], a[i].y, b1);
          add_scaled(to[i][j], a[i].z, b2);
          add_scaled(to[i][j], a[i].w, b3);
        }
      }
    }
  }

  template <Hiding way, bool edge>
  MLX_FN void differentiate_all(int turn) {
    int first = operands.first_of(turn);
    int64_t mask = operands.mask_of(turn);
#pragma unroll
    for (int i = 0; i < height; i++) {
#pragma unroll
      for (int j = 0; j < step / 8; j++) {
        int at = lane + j * 8, row = row_of(i), column = first + at;
        if constexpr (keys_are_rows) {
          differentiate<float, way, edge>(p, weights[i][j], gradients[i][j], facts[at], mask,
                                          column, row);
        } else {
          differentiate<float, way, edge>(p, weights[i][j], gradients[i][j], row_facts[i], mask,
                                          row, column);
          if (hiding == hide_general) totals[i] += weights[i][j];
        }
      }
    }
  }

  MLX_FN void compute(int turn) {
    const float *column_d = operands.column_d(0), *column_e = operands.column_e(0);
    multiply<d, Operands::d_pitch>(weights, operands.row_d, column_d);
    multiply<e, Operands::e_pitch>(gradients, operands.row_e, column_e);
    if (is_edge<hiding, keys_are_rows>(p, operands.task.first, rows, operands.first_of(turn),
                                       step)) {
      differentiate_all<hiding, true>(turn);
    } else {
      differentiate_all<hiding == hide_general ? hide_general : hide_none, false>(turn);
    }
    add_product<d_part, Operands::d_pitch>(d_sums, gradients, column_d);
    if constexpr (keys_are_rows) {
      add_product<e_part, Operands::e_pitch>(e_sums, weights, column_e);
    }
  }

  template <int part>
  MLX_FN void put(void* data, const int64_t (&strides)[3],
                  const float (&sums)[height][part / 32][4], int64_t width, int i,
                  float scale) const {
    if (row_of(i) >= (keys_are_rows ? p.keys : p.length)) return;
    float* to = row_of_gradient<float, keys_are_rows>(data, strides, operands.task, row_of(i));
#pragma unroll
    for (int j = 0; j < part / 32; j++) {
      int column = slice * part + j * 32 + lane * 4;
#pragma unroll
      for (int c = 0; c < 4; c++) {
        if (column + c < width) to[column + c] = sums[i][j][c] * scale;
      }
    }
  }

  /** Under a mask: what makes the weights of a query sum to one, also where all are hidden. */
  MLX_FN float find_factor(int i) const {
    int query = row_of(i);
    float total = totals[i];
#pragma unroll
    for (int s = 1; s < 8; s *= 2) total += __shfl_xor_sync(0xffffffffu, total, s);
    if (p.sinks) {
      float sink = load<float>(p.sinks, operands.task.head);
      total += exp2_fast((sink - row_facts[i].logsumexp) * log2_of_e);
    }
    if (query < p.length && lane == 0 && slice == 0) {
      p.factors[query_number(p, operands.task.batch, operands.task.head, query)] = 1.0f / total;
    }
    return 1.0f / total;
  }

  MLX_FN void run() {
    operands.template go_through<hiding, 1>(facts, [&](int turn, int) { compute(turn); });
    float scale = static_cast<float>(p.scale);
#pragma unroll
    for (int i = 0; i < height; i++) {
      if constexpr (keys_are_rows) {
        put<d_part>(p.dk, p.dk_strides, d_sums, p.d, i, scale);
        put<e_part>(p.dv, p.dv_strides, e_sums, p.e, i, 1.0f);
      } else {
        float factor = hiding == hide_general ? find_factor(i) : 1.0f;
        put<d_part>(p.dq, p.dq_strides, d_sums, p.d, i, scale * factor);
      }
    }
  }
};

template <int d, int e, int height, int warps, int step, int slices, Hiding hiding,
          bool keys_are_rows>
MLX_FN void tile_backward(const AttentionBackwardCall& p) {
  extern __shared__ uint4 shared[];
  using Work = TileBackward<d, e, height, warps, step, slices, hiding, keys_are_rows>;
  Work(p, find_backward_task<Work::rows, keys_are_rows>(p), reinterpret_cast<float*>(shared)).run();
}

}  // namespace mlx::core::kernels
