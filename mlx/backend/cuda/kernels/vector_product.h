// Products of few rows with a matrix whose rows lie in memory as they are read, as the weights of
// linear layers do: bound by reading the matrix, once. A warp makes the sums of some of its rows.
#pragma once

#include "mlx/backend/cuda/kernels/values.h"
#include "mlx/backend/cuda/kernels/vector_product_call.h"

namespace mlx::core::kernels {

constexpr int vector_product_threads = 256;

/** Adds x w over one pack of neighbours, in float. */
template <typename T, int width, typename Pack>
MLX_FN float add_pack(float sum, const Pack& x, const Pack& w) {
#pragma unroll
  for (int j = 0; j < width; j++) {
    sum = __fmaf_rn(computed(x.at[j]), computed(w.at[j]), sum);
  }
  return sum;
}

/** The matrix that block number `block` works on. */
MLX_FN const VectorProductPart& part_of_block(const VectorProductCall& p, int64_t block) {
  int part = 0;
#pragma unroll
  for (int i = 1; i < most_vector_parts; i++) {
    part += i < p.parts && block >= p.part[i].first_block;
  }
  return p.part[part];
}

/** The first of the `rows` rows that this warp of the block takes. */
template <int rows>
MLX_FN int64_t first_row_of_warp(const VectorProductPart& own, int64_t block) {
  constexpr int warps = vector_product_threads / 32;
  return ((block - own.first_block) * warps + threadIdx.x / 32) * rows;
}

/** Asks for what the warp reads of w. */
template <typename T, int rows>
MLX_FN void fetch_block(const VectorProductCall& p, int64_t block) {
  const VectorProductPart& own = part_of_block(p, block);
  int64_t row = first_row_of_warp<rows>(own, block) + threadIdx.x % 32;
  if (threadIdx.x % 32 >= rows || row >= own.n) return;
  fetch_ahead(static_cast<const T*>(own.w) + row * own.w_stride, p.k * sizeof(T));
}

/** The blocks that run first ask for their own rows; all ask for those of the blocks that follow
 *  them, so that memory is busy while they add up. */
template <typename T, int rows>
MLX_FN void fetch_matrix(const VectorProductCall& p) {
  int64_t block = blockIdx.x, next = block + p.resident;
  if (block < p.resident) fetch_block<T, rows>(p, block);
  if (next < gridDim.x) fetch_block<T, rows>(p, next);
}

/** Sums of a warp: of `m` rows of x with `rows` of w, of which a lane takes every 32nd piece of 16
 *  bytes. */
template <typename T, int m, int rows>
struct VectorSums {
  // Of each row of w; what is on its way at a time keeps memory busy although few blocks run.
  static constexpr int width = 16 / sizeof(T), depth = 8 / rows, step = 32 * width;
  using Piece = Pack<T, width>;

  const T *x[m], *w[rows];
  float sums[m][rows] = {};

  /** The pieces at `first` and behind it. `whole`: all of them lie in front of `k`; those that do
   *  not are zeros. */
  template <bool whole>
  MLX_FN void add(int64_t first, int64_t k) {
    Piece from_w[depth][rows], from_x[depth];
#pragma unroll
    for (int d = 0; d < depth; d++) {
#pragma unroll
      for (int r = 0; r < rows; r++) from_w[d][r] = load<whole>(w[r], first, d, k);
    }
#pragma unroll
    for (int i = 0; i < m; i++) {
#pragma unroll
      for (int d = 0; d < depth; d++) from_x[d] = load<whole>(x[i], first, d, k);
#pragma unroll
      for (int d = 0; d < depth; d++) {
#pragma unroll
        for (int r = 0; r < rows; r++) {
          sums[i][r] = add_pack<T, width>(sums[i][r], from_x[d], from_w[d][r]);
        }
      }
    }
  }

 private:
  template <bool whole>
  MLX_FN static Piece load(const T* from, int64_t first, int d, int64_t k) {
    int64_t at = first + d * step;
    if constexpr (whole) {
      return load_pack<T, width>(from, at);
    } else {
      uint4 words = *reinterpret_cast<const uint4*>(from + (at < k ? at : first));
      uint32_t mask = at < k ? ~0u : 0u;
      words = {words.x & mask, words.y & mask, words.z & mask, words.w & mask};
      return __builtin_bit_cast(Piece, words);
    }
  }
};

/** `m` rows of x; each warp takes `rows` of w. Addresses and strides are multiples of 16 bytes. */
template <typename T, int m, int rows>
MLX_FN void vector_product(const VectorProductCall& p) {
  using Sums = VectorSums<T, m, rows>;
  const VectorProductPart& own = part_of_block(p, blockIdx.x);
  const int lane = threadIdx.x % 32;
  const int64_t first_row = first_row_of_warp<rows>(own, blockIdx.x);
  Sums all;
#pragma unroll
  for (int i = 0; i < m; i++) all.x[i] = static_cast<const T*>(p.x) + i * p.x_stride;
#pragma unroll
  for (int r = 0; r < rows; r++) {
    int64_t row = first_row + r;
    all.w[r] = static_cast<const T*>(own.w) + (row < own.n ? row : own.n - 1) * own.w_stride;
  }
  int64_t first = lane * Sums::width;
#pragma unroll 1
  for (; first + (Sums::depth - 1) * Sums::step < p.k; first += Sums::depth * Sums::step) {
    all.template add<true>(first, p.k);
  }
  if (first < p.k) all.template add<false>(first, p.k);
#pragma unroll
  for (int i = 0; i < m; i++) {
#pragma unroll
    for (int r = 0; r < rows; r++) {
      float sum = all.sums[i][r];
#pragma unroll
      for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
      int64_t row = first_row + r;
      if (lane != 0 || row >= own.n) continue;
      float y = p.alpha * sum;
      if (own.bias) y += computed(static_cast<const T*>(own.bias)[row]);
      if (p.rectified && y < 0) y = 0;
      static_cast<T*>(own.out)[i * own.n + row] = rounded<T>(y);
    }
  }
}

}  // namespace mlx::core::kernels
