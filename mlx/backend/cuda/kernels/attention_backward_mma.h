// Attention's backward pass for half types by tensor cores. A warp keeps 16 rows; the weights that
// it makes in registers are the left factors of the products that it adds up.
#pragma once

#include "mlx/backend/cuda/kernels/attention_backward.h"
#include "mlx/backend/cuda/kernels/attention_mma.h"

namespace mlx::core::kernels {

/** `d`, `e`: columns, padded. Of the gradients a block makes one of `slices` parts of the columns.
 *  `step` columns of scores go at a time. */
template <typename T, int d, int e, int warps, int step, int stages, int slices, Hiding hiding,
          bool keys_are_rows>
struct MmaBackward {
  static constexpr int rows = 16 * warps, threads = 32 * warps;
  static constexpr int d_part = d / slices, e_part = keys_are_rows ? e / slices : 16;
  using Operands = BackwardOperands<T, d, e, rows, step, threads, keys_are_rows>;

  const AttentionBackwardCall& p;
  Operands operands;
  QueryFacts* facts;  // of the columns, in shared memory
  int lane, warp_row, slice;
  QueryFacts row_facts[2];
  float totals[2] = {0, 0};
  float d_sums[d_part / 8][4], e_sums[e_part / 8][4];
  float weights[step / 8][4], gradients[step / 8][4];

  MLX_FN MmaBackward(const AttentionBackwardCall& call, const BackwardTask& task, T* shared)
      : p(call),
        operands(call, task, columns_of<rows, step, hiding, keys_are_rows>(call, task.first),
                 shared),
        facts(reinterpret_cast<QueryFacts*>(operands.stages + stages * Operands::stage_size)),
        lane(threadIdx.x % 32),
        warp_row(threadIdx.x / 32 * 16),
        slice(blockIdx.y) {
    clear(d_sums);
    clear(e_sums);
    if constexpr (!keys_are_rows) {
      for (int half = 0; half < 2; half++) {
        row_facts[half] =
            facts_of<hiding, keys_are_rows>(call, task.batch, task.head, row_of(half));
      }
    }
  }

  template <int n>
  MLX_FN static void clear(float (&x)[n][4]) {
#pragma unroll
    for (int j = 0; j < n; j++) {
      for (int c = 0; c < 4; c++) x[j][c] = 0;
    }
  }
  MLX_FN int row_of(int half) const { return operands.task.first + warp_row + half * 8 + lane / 4; }

  /** to = rows columns^T */
  template <int width, int pitch>
  MLX_FN void multiply(float (&to)[step / 8][4], const T* row, const T* column) const {
    clear(to);
    uint32_t a_at = shared_address(row + (warp_row + lane % 16) * pitch + lane / 16 * 8);
    uint32_t b_at = shared_address(column + (lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 8);
#pragma unroll
    for (int i = 0; i < width / 16; i++) {
      uint32_t a[4];
      load_matrices(a, a_at + i * 32);
#pragma unroll
      for (int j = 0; j < step / 16; j++) {
        uint32_t b[4];
        load_matrices(b, b_at + (j * 16 * pitch + i * 16) * 2);
        multiply_tile<T>(to[2 * j], a, b[0], b[1]);
        multiply_tile<T>(to[2 * j + 1], a, b[2], b[3]);
      }
    }
  }

  /** to += x columns, for the slice's part of the columns' width */
  template <int part, int pitch>
  MLX_FN void add_product(float (&to)[part / 8][4], const float (&x)[step / 8][4],
                          const T* column) const {
    uint32_t at = shared_address(column + slice * part + lane % 16 * pitch + lane / 16 * 8);
#pragma unroll
    for (int i = 0; i < step / 16; i++) {
      uint32_t a[4];
#pragma unroll
      for (int c = 0; c < 4; c++) {
        const float(&pair)[4] = x[2 * i + c / 2];
        a[c] = pack_pair<T>(pair[c % 2 * 2], pair[c % 2 * 2 + 1]);
      }
#pragma unroll
      for (int j = 0; j < part / 16; j++) {
        uint32_t b[4];
        load_transposed(b, at + (i * 16 * pitch + j * 16) * 2);
        multiply_tile<T>(to[2 * j], a, b[0], b[1]);
        multiply_tile<T>(to[2 * j + 1], a, b[2], b[3]);
      }
    }
  }

  template <Hiding way, bool edge>
  MLX_FN void differentiate_all(int turn, int stage) {
    int first = operands.first_of(turn);
    int64_t mask = operands.mask_of(turn);
#pragma unroll
    for (int j = 0; j < step / 8; j++) {
#pragma unroll
      for (int c = 0; c < 4; c++) {
        int at = j * 8 + lane % 4 * 2 + c % 2, row = row_of(c / 2), column = first + at;
        if constexpr (keys_are_rows) {
          differentiate<T, way, edge>(p, weights[j][c], gradients[j][c], facts[stage * step + at],
                                      mask, column, row);
        } else {
          differentiate<T, way, edge>(p, weights[j][c], gradients[j][c], row_facts[c / 2], mask,
                                      row, column);
          if (hiding == hide_general) totals[c / 2] += weights[j][c];
        }
      }
    }
  }

  MLX_FN void compute(int turn, int stage) {
    const T *column_d = operands.column_d(stage), *column_e = operands.column_e(stage);
    multiply<d, Operands::d_pitch>(weights, operands.row_d, column_d);
    multiply<e, Operands::e_pitch>(gradients, operands.row_e, column_e);
    if (is_edge<hiding, keys_are_rows>(p, operands.task.first, rows, operands.first_of(turn),
                                       step)) {
      differentiate_all<hiding, true>(turn, stage);
    } else {
      differentiate_all<hiding == hide_general ? hide_general : hide_none, false>(turn, stage);
    }
    add_product<d_part, Operands::d_pitch>(d_sums, gradients, column_d);
    if constexpr (keys_are_rows) {
      add_product<e_part, Operands::e_pitch>(e_sums, weights, column_e);
    }
  }

  template <int part>
  MLX_FN void put(void* data, const int64_t (&strides)[3], const float (&sums)[part / 8][4],
                  int64_t width, int half, float scale) const {
    if (row_of(half) >= (keys_are_rows ? p.keys : p.length)) return;
    T* to = row_of_gradient<T, keys_are_rows>(data, strides, operands.task, row_of(half));
#pragma unroll
    for (int j = 0; j < part / 8; j++) {
      int column = slice * part + j * 8 + lane % 4 * 2;
      float low = sums[j][2 * half] * scale, high = sums[j][2 * half + 1] * scale;
      if (width % 2 == 0) {
        if (column < width) put_pair(to + column, low, high);
      } else {
        if (column < width) to[column] = rounded<T>(low);
        if (column + 1 < width) to[column + 1] = rounded<T>(high);
      }
    }
  }

  /** Under a mask: what makes the weights of a query sum to one, also where all are hidden. */
  MLX_FN float find_factor(int half) const {
    int query = row_of(half);
    float total = sum_of_row(totals[half]);
    if (p.sinks) {
      float sink = computed(load<T>(p.sinks, operands.task.head));
      total += exp2_fast((sink - row_facts[half].logsumexp) * log2_of_e);
    }
    if (query < p.length && lane % 4 == 0 && slice == 0) {
      p.factors[query_number(p, operands.task.batch, operands.task.head, query)] = 1.0f / total;
    }
    return 1.0f / total;
  }

  MLX_FN void run() {
    operands.template go_through<hiding, stages>(
        facts, [&](int turn, int stage) { compute(turn, stage); });
    float scale = static_cast<float>(p.scale);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      if constexpr (keys_are_rows) {
        put<d_part>(p.dk, p.dk_strides, d_sums, p.d, half, scale);
        put<e_part>(p.dv, p.dv_strides, e_sums, p.e, half, 1.0f);
      } else {
        float factor = hiding == hide_general ? find_factor(half) : 1.0f;
        put<d_part>(p.dq, p.dq_strides, d_sums, p.d, half, scale * factor);
      }
    }
  }
};

template <typename T, int d, int e, int warps, int step, int stages, int slices, Hiding hiding,
          bool keys_are_rows>
MLX_FN void mma_backward(const AttentionBackwardCall& p) {
  extern __shared__ uint4 shared[];
  using Work = MmaBackward<T, d, e, warps, step, stages, slices, hiding, keys_are_rows>;
  Work(p, find_backward_task<Work::rows, keys_are_rows>(p), reinterpret_cast<T*>(shared)).run();
}

}  // namespace mlx::core::kernels
