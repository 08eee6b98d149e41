// Products of many rows with quantised weights by the tensor cores of compute capability 9.0. Rows
// of x and codes come to shared memory some turns ahead; codes become numbers of T there, in the
// swizzled order of the tensor cores, while those multiply what the turn before has made.
#pragma once

#include "mlx/backend/cuda/kernels/quantized_task.h"
#include "mlx/backend/cuda/kernels/warpgroup_products.h"

namespace mlx::core::kernels {

/** A block of 128 `groups` threads makes the results of 64 `groups` rows of x and as many rows of
 *  codes; each four warps do 64 rows of x. */
template <typename T, typename F, int groups>
struct QuantizedTiles {
  static constexpr int rows = 64 * groups, threads = 128 * groups, depth = 64, stages = 4;
  static constexpr int code_bytes = depth * F::bits / 8, panel_bytes = rows * 128;
  static constexpr int stage_bytes = panel_bytes + rows * code_bytes;
  static constexpr int own = 4;  // eights of codes that a thread decodes in a turn
  static constexpr int out_pitch = rows + 8;

  /** As they lie in memory, for those eights. */
  struct Scales {
    StoredScale<T, F> by[own];
    T add[F::affine ? own : 1];
  };

  const QuantizedProducts& p;
  QuantizedTask task;
  uint32_t weights, inputs, codes;  // in shared memory: two panels, then panels and codes by stages
  const char* packed;
  const T* x[own];
  int lane, warp, row, eight;  // the thread's first row, of copies as of codes, and its part of it
  float sums[8 * groups][4] = {};

  MLX_FN QuantizedTiles(const QuantizedProducts& call, const void* shared)
      : p(call),
        weights(aligned_panels(shared)),
        inputs(weights + 2 * panel_bytes),
        codes(inputs + stages * panel_bytes),
        lane(threadIdx.x % 32),
        warp(threadIdx.x / 32),
        row(threadIdx.x / 8),
        eight(threadIdx.x % 8) {}

  MLX_FN static int row_step(int i) { return i * (threads / 8); }

  /** Where eight numbers of the thread lie in a panel. */
  MLX_FN uint32_t place(int i) const {
    return (row + row_step(i)) * 128 + (eight ^ (row + row_step(i)) % 8) * 16;
  }

  MLX_FN void copy(int turn) {
    int k = turn * depth + eight * 8;
    if (turn * depth < p.k) {
      uint32_t panel = inputs + turn % stages * panel_bytes;
#pragma unroll
      for (int i = 0; i < own; i++) {
        bool present = x[i] && k < p.k;
        copy_async(panel + place(i), present ? x[i] + k : p.x, present);
      }
      copy_packed<rows, code_bytes, code_bytes, threads>(codes + turn % stages * rows * code_bytes,
                                                         packed, p.k * F::bits / 8, task.column,
                                                         p.n, int64_t{turn} * code_bytes);
    }
    close_copies();
  }

  MLX_FN void load_scales(Scales& scales, int turn) {
    using Stored = StoredScale<T, F>;
    int count = static_cast<int>(p.k / F::group), group = (turn * depth + eight * 8) / F::group;
    if (group >= count) group = count - 1;
#pragma unroll
    for (int i = 0; i < own; i++) {
      int64_t n = task.column + row + row_step(i);
      int64_t at = task.matrix * p.scale_batch + (n < p.n ? n : p.n - 1) * count + group;
      scales.by[i] = static_cast<const Stored*>(p.scales)[at];
      if constexpr (F::affine) scales.add[i] = static_cast<const T*>(p.biases)[at];
    }
  }

  MLX_FN void decode(const Scales& scales, int turn) {
    uint32_t from = codes + turn % stages * rows * code_bytes;
    uint32_t panel = weights + turn % 2 * panel_bytes;
#pragma unroll
    for (int i = 0; i < own; i++) {
      auto* at = static_cast<const uint32_t*>(from_shared(from + (row + row_step(i)) * code_bytes));
      EightCodes all = load_codes<F::bits>(at, eight);
      PairScale<T, F> scale(scales.by[i], scales.add[F::affine ? i : 0]);
      uint32_t pair[4];
#pragma unroll
      for (int j = 0; j < 4; j++) pair[j] = scale.apply(code_pair<F::bits>(all, j));
      store_shared(panel + place(i),
                   {lower_halves(pair[0], pair[1]), lower_halves(pair[2], pair[3]),
                    upper_halves(pair[0], pair[1]), upper_halves(pair[2], pair[3])});
    }
  }

  MLX_FN void multiply(int turn) {
    uint32_t a = inputs + turn % stages * panel_bytes + warp / 4 * 64 * 128;
    uint32_t b = weights + turn % 2 * panel_bytes;
    pin(sums);
    open_products();
#pragma unroll
    for (int j = 0; j < depth / 16; j++) {
      multiply_panels<T>(sums, describe_rows(a + j * 32), describe_rows(b + j * 32));
    }
    close_products();
  }

  MLX_FN void find_rows() {
#pragma unroll
    for (int i = 0; i < own; i++) {
      int at = row + row_step(i);
      x[i] = at < task.count ? find_x<T>(p, row_number(p, task, at)) : nullptr;
    }
  }

  MLX_FN void finish(char* shared) {
    T* out = reinterpret_cast<T*>(shared);
    float factor = factor_of(p, task);
    wait_copies<0>();
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 8 * groups; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        int m = warp * 16 + i / 2 * 8 + lane / 4, n = j * 8 + lane % 4 * 2 + i % 2;
        out[m * out_pitch + n] = rounded<T>(sums[j][i] * factor);
      }
    }
    __syncthreads();
    bool wide = p.n % 8 == 0;
    for (int i = threadIdx.x; i < task.count * (rows / 8); i += threads) {
      int n = i % (rows / 8) * 8, m = i / (rows / 8);
      int64_t at = row_number(p, task, m) * p.n + task.column + n;
      const T* from = out + m * out_pitch + n;
      if (wide && task.column + n < p.n) {
        store_pack<T, 8>(p.out, at, load_pack<T, 8>(from, 0));
      } else {
        for (int j = 0; j < 8 && task.column + n + j < p.n; j++) store<T>(p.out, at + j, from[j]);
      }
    }
  }

  MLX_FN void run(char* shared) {
    if (!find_task<rows, rows>(p, task)) return;
    packed = static_cast<const char*>(p.w) + task.matrix * p.w_batch;
    find_rows();
    Scales scales;
    load_scales(scales, 0);
#pragma unroll
    for (int i = 0; i < stages - 1; i++) copy(i);
    wait_copies<stages - 2>();
    __syncthreads();
    decode(scales, 0);
    load_scales(scales, 1);
    int turns = static_cast<int>((p.k + depth - 1) / depth);
    for (int turn = 0; turn < turns; turn++) {
      wait_copies<stages - 3>();
      publish_copies();
      wait_products<0>();
      pin(sums);
      __syncthreads();  // the turn's operands are there, and those of the last one are done with
      multiply(turn);
      copy(turn + stages - 1);
      if (turn + 1 < turns) decode(scales, turn + 1);
      load_scales(scales, turn + 2);
    }
    wait_products<0>();
    pin(sums);
    finish(shared);
  }
};

template <typename T, typename F, int groups>
MLX_FN void quantized_tiles(const QuantizedProducts& p) {
  extern __shared__ uint4 memory[];
  QuantizedTiles<T, F, groups>(p, memory).run(reinterpret_cast<char*>(memory));
}

}  // namespace mlx::core::kernels
