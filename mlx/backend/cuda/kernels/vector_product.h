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

/** The matrix that a block works on. */
MLX_FN const VectorProductPart& part_of_block(const VectorProductCall& p) {
  int part = 0;
#pragma unroll
  for (int i = 1; i < most_vector_parts; i++) {
    part += i < p.parts && blockIdx.x >= p.part[i].first_block;
  }
  return p.part[part];
}

/** `m` rows of x; each warp takes `rows` of w. Addresses and strides are multiples of 16 bytes. */
template <typename T, int m, int rows>
MLX_FN void vector_product(const VectorProductCall& p) {
  // What is on its way at a time keeps memory busy although few blocks run.
  constexpr int width = 16 / sizeof(T), depth = 8 / rows, step = 32 * width;
  using Words = decltype(load_pack<T, width>(static_cast<const T*>(nullptr), 0));
  const VectorProductPart& own = part_of_block(p);
  const int lane = threadIdx.x % 32;
  const int64_t block = blockIdx.x - own.first_block;
  const int64_t warp = block * (vector_product_threads / 32) + threadIdx.x / 32;
  const T *x[m], *w[rows];
#pragma unroll
  for (int i = 0; i < m; i++) x[i] = static_cast<const T*>(p.x) + i * p.x_stride;
#pragma unroll
  for (int r = 0; r < rows; r++) {
    int64_t row = warp * rows + r;
    w[r] = static_cast<const T*>(own.w) + (row < own.n ? row : own.n - 1) * own.w_stride;
  }
  float sums[m][rows] = {};
  for (int64_t first = lane * width; first < p.k; first += depth * step) {
    Words from_w[depth][rows];
#pragma unroll
    for (int d = 0; d < depth; d++) {
      // Past the end the last piece comes again, and is left out below.
      int64_t at = first + d * step < p.k ? first + d * step : first;
#pragma unroll
      for (int r = 0; r < rows; r++) from_w[d][r] = load_pack<T, width>(w[r], at);
    }
#pragma unroll
    for (int d = 0; d < depth; d++) {
      if (first + d * step >= p.k) break;
#pragma unroll
      for (int i = 0; i < m; i++) {
        auto from_x = load_pack<T, width>(x[i], first + d * step);
#pragma unroll
        for (int r = 0; r < rows; r++) {
          sums[i][r] = add_pack<T, width>(sums[i][r], from_x, from_w[d][r]);
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < m; i++) {
#pragma unroll
    for (int r = 0; r < rows; r++) {
      float sum = sums[i][r];
#pragma unroll
      for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
      int64_t row = warp * rows + r;
      if (lane != 0 || row >= own.n) continue;
      float y = p.alpha * sum;
      if (own.bias) y += computed(static_cast<const T*>(own.bias)[row]);
      if (p.rectified && y < 0) y = 0;
      static_cast<T*>(own.out)[i * own.n + row] = rounded<T>(y);
    }
  }
}

}  // namespace mlx::core::kernels
