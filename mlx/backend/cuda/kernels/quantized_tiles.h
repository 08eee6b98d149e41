// Products of many rows with quantised weights by the tensor cores of compute capability 9.0. Rows
// of x and codes come to shared memory some turns ahead; codes become numbers of T there, in the
// swizzled order of the tensor cores, while those multiply what the turn before has made. Teams of
// warps share the turns of a block, and add up at the end.
#pragma once

#include "mlx/backend/cuda/kernels/quantized_task.h"
#include "mlx/backend/cuda/kernels/warpgroup_products.h"

namespace mlx::core::kernels {

/** A block makes the results of 64 `groups` rows of x and 64 rows of codes. It has `teams` of 128
 *  `groups` threads; each four warps do 64 rows of x. */
template <typename T, typename F, int groups, int teams>
struct QuantizedTiles {
  static constexpr int rows = 64 * groups, columns = 64, threads = 128 * groups;
  static constexpr int depth = 64, stages = 4;
  static constexpr int ahead = 3;  // turns whose scales are on their way
  static constexpr int code_bytes = depth * F::bits / 8, stage_codes = columns * code_bytes;
  static constexpr int weight_bytes = columns * 128, input_bytes = rows * 128;
  static constexpr int team_bytes = 2 * weight_bytes + stages * (input_bytes + stage_codes);
  static constexpr int own_inputs = 4, own = 4 / groups;  // eights of a thread in a turn
  static constexpr int row_step = threads / 8, out_pitch = columns + 8;

  /** As they lie in memory, for those eights. */
  struct Scales {
    StoredScale<T, F> by[own];
    T add[F::affine ? own : 1];
  };

  const QuantizedProducts& p;
  QuantizedTask task;
  uint32_t weights, inputs, codes;  // in shared memory: two panels, then panels and codes by stages
  CodeCopy<columns, code_bytes, code_bytes, threads> code_copy;
  const T* x[own_inputs];
  const StoredScale<T, F>* scales_at[own];
  const T* biases_at[F::affine ? own : 1];
  int team, lane, warp;
  int row, eight;  // the thread's first row, of x as of codes, and its part of it
  uint32_t place;  // of that in a panel
  float sums[8][4] = {};

  MLX_FN QuantizedTiles(const QuantizedProducts& call, const void* shared)
      : p(call),
        team(threadIdx.x / threads),
        lane(threadIdx.x % 32),
        warp(threadIdx.x % threads / 32),
        row(threadIdx.x % threads / 8),
        eight(threadIdx.x % 8) {
    weights = aligned_panels(shared) + team * team_bytes;
    inputs = weights + 2 * weight_bytes;
    codes = inputs + stages * input_bytes;
    place = row * 128 + (eight ^ (row & 7)) * 16;
  }

  /** Where the team's turn begins. */
  MLX_FN int depth_of(int turn) const { return (turn * teams + team) * depth; }

  MLX_FN static int stage_of(int turn) { return turn & (stages - 1); }

  MLX_FN void copy(int turn) {
    int begin = depth_of(turn);
    if (begin < p.k) {
      bool present = begin + eight * 8 < p.k;
      uint32_t to = inputs + stage_of(turn) * input_bytes + place;
#pragma unroll
      for (int i = 0; i < own_inputs; i++) {
        copy_async(to + i * row_step * 128, x[i] + begin, present);
      }
      code_copy.run(codes + stage_of(turn) * stage_codes, begin / 8 * F::bits);
    }
    close_copies();
  }

  MLX_FN void load_scales(Scales& scales, int turn) {
    int group = (depth_of(turn) + eight * 8) / F::group,
        last = static_cast<int>(p.k / F::group) - 1;
    if (group > last) group = last;
#pragma unroll
    for (int i = 0; i < own; i++) {
      scales.by[i] = scales_at[i][group];
      if constexpr (F::affine) scales.add[i] = biases_at[i][group];
    }
  }

  MLX_FN void decode(const Scales& scales, int turn) {
    uint32_t from = codes + stage_of(turn) * stage_codes + row * code_bytes;
    uint32_t to = weights + (turn & 1) * weight_bytes + place;
#pragma unroll
    for (int i = 0; i < own; i++) {
      auto* at = static_cast<const uint32_t*>(from_shared(from + i * row_step * code_bytes));
      EightCodes all = load_codes<F::bits>(at, eight);
      PairScale<T, F> scale(scales.by[i], scales.add[F::affine ? i : 0]);
      uint32_t pair[4];
#pragma unroll
      for (int j = 0; j < 4; j++) pair[j] = scale.apply(code_pair<F::bits>(all, j));
      store_shared(to + i * row_step * 128,
                   {lower_halves(pair[0], pair[1]), lower_halves(pair[2], pair[3]),
                    upper_halves(pair[0], pair[1]), upper_halves(pair[2], pair[3])});
    }
  }

  MLX_FN void multiply(int turn) {
    uint32_t a = inputs + stage_of(turn) * input_bytes + warp / 4 * 64 * 128;
    uint32_t b = weights + (turn & 1) * weight_bytes;
    uint64_t left = describe_rows(a), right = describe_rows(b);
    pin(sums);
    open_products();
#pragma unroll
    for (int j = 0; j < depth / 16; j++) {  // addresses count in pieces of 16 bytes
      multiply_panels<T>(sums, left + 2 * j, right + 2 * j);
    }
    close_products();
  }

  /** Rows of x past the last repeat it; nobody reads their sums. */
  MLX_FN void find_rows() {
#pragma unroll
    for (int i = 0; i < own_inputs; i++) {
      int at = row + i * row_step;
      const T* found = find_x<T>(p, row_number(p, task, at < task.count ? at : task.count - 1));
      x[i] = kept((found ? found : static_cast<const T*>(p.x)) + eight * 8);
    }
  }

  MLX_FN void find_scales() {
#pragma unroll
    for (int i = 0; i < own; i++) {
      int64_t n = task.column + row + i * row_step;
      int64_t at = task.matrix * p.scale_batch + (n < p.n ? n : p.n - 1) * (p.k / F::group);
      scales_at[i] = kept(static_cast<const StoredScale<T, F>*>(p.scales) + at);
      if constexpr (F::affine) biases_at[i] = kept(static_cast<const T*>(p.biases) + at);
    }
  }

  /** Adds the sums of the other teams to those of the first. */
  MLX_FN void add_teams(float* shared) {
#pragma unroll
    for (int j = 0; j < 8; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        float* at = shared + (j * 4 + i) * threads + threadIdx.x % threads;
        if (team > 0) at[(team - 1) * rows * columns] = sums[j][i];
      }
    }
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 8; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const float* at = shared + (j * 4 + i) * threads + threadIdx.x % threads;
        for (int t = 0; t < teams - 1 && team == 0; t++) sums[j][i] += at[t * rows * columns];
      }
    }
    __syncthreads();
  }

  MLX_FN void finish(char* shared) {
    T* out = reinterpret_cast<T*>(shared);
    float factor = factor_of(p, task);
    wait_copies<0>();
    __syncthreads();
    if constexpr (teams > 1) add_teams(reinterpret_cast<float*>(shared));
#pragma unroll
    for (int j = 0; j < 8 && team == 0; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        int m = warp * 16 + i / 2 * 8 + lane / 4, n = j * 8 + lane % 4 * 2 + i % 2;
        out[m * out_pitch + n] = rounded<T>(sums[j][i] * factor);
      }
    }
    __syncthreads();
    bool wide = p.n % 8 == 0;
    for (int i = threadIdx.x; i < task.count * (columns / 8); i += teams * threads) {
      int n = i % (columns / 8) * 8, m = i / (columns / 8);
      int64_t at = row_number(p, task, m) * p.n + task.column + n;
      const T* from = out + m * out_pitch + n;
      if (wide && task.column + n < p.n) {
        store_pack<T, 8>(p.out, at, load_pack<T, 8>(from, 0));
      } else {
        for (int j = 0; j < 8 && task.column + n + j < p.n; j++) store<T>(p.out, at + j, from[j]);
      }
    }
  }

  /** Multiplies, and decodes what the next turn multiplies. */
  MLX_FN void take_turn(Scales& next, int turn) {
    wait_copies<stages - 3>();
    publish_copies();
    wait_products<0>();
    pin(sums);
    sync_team<threads>(team);  // the turn's operands are there, those of the last one done with
    multiply(turn);
    copy(turn + stages - 1);
    decode(next, turn + 1);
    load_scales(next, turn + 1 + ahead);
  }

  MLX_FN void run(char* shared) {
    if (!find_task<rows, columns>(p, blockIdx.x, task)) return;
    code_copy = {static_cast<const char*>(p.w) + task.matrix * p.w_batch,
                 static_cast<int>(p.k * F::bits / 8), task.column, p.n};
    find_rows();
    find_scales();
    Scales scales[ahead];
#pragma unroll
    for (int i = 0; i < ahead; i++) load_scales(scales[i], i);
#pragma unroll
    for (int i = 0; i < stages - 1; i++) copy(i);
    wait_copies<stages - 2>();
    sync_team<threads>(team);
    decode(scales[0], 0);
    load_scales(scales[0], ahead);
    for (int begin = 0; depth_of(begin) < p.k; begin += ahead) {
#pragma unroll
      for (int i = 0; i < ahead; i++) {
        if (depth_of(begin + i) < p.k) take_turn(scales[(i + 1) % ahead], begin + i);
      }
    }
    wait_products<0>();
    pin(sums);
    finish(shared);
  }
};

template <typename T, typename F, int groups, int teams>
MLX_FN void quantized_tiles(const QuantizedProducts& p) {
  extern __shared__ uint4 memory[];
  QuantizedTiles<T, F, groups, teams>(p, memory).run(reinterpret_cast<char*>(memory));
}

}  // namespace mlx::core::kernels
