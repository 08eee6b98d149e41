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

/** `m` rows of x; each warp takes `rows` of w. Addresses and strides are multiples of 16 bytes. */
template <typename T, int m, int rows>
MLX_FN void vector_product(const VectorProductCall& p) {
  constexpr int width = 16 / sizeof(T);
  const int lane = threadIdx.x % 32;
  const int64_t warp = int64_t{blockIdx.x} * (vector_product_threads / 32) + threadIdx.x / 32;
  const T *x[m], *w[rows];
#pragma unroll
  for (int i = 0; i < m; i++) x[i] = static_cast<const T*>(p.x) + i * p.x_stride;
#pragma unroll
  for (int r = 0; r < rows; r++) {
    int64_t row = warp * rows + r;
    w[r] = static_cast<const T*>(p.w) + (row < p.n ? row : p.n - 1) * p.w_stride;
  }
  float sums[m][rows] = {};
#pragma unroll 4
  for (int64_t at = lane * width; at < p.k; at += 32 * width) {
    decltype(load_pack<T, width>(x[0], at)) from_w[rows];
#pragma unroll
    for (int r = 0; r < rows; r++) from_w[r] = load_pack<T, width>(w[r], at);
#pragma unroll
    for (int i = 0; i < m; i++) {
      auto from_x = load_pack<T, width>(x[i], at);
#pragma unroll
      for (int r = 0; r < rows; r++) sums[i][r] = add_pack<T, width>(sums[i][r], from_x, from_w[r]);
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
      if (lane != 0 || row >= p.n) continue;
      float y = p.alpha * sum;
      if (p.bias) y += computed(static_cast<const T*>(p.bias)[row]);
      if (p.rectified && y < 0) y = 0;
      static_cast<T*>(p.out)[i * p.n + row] = rounded<T>(y);
    }
  }
}

}  // namespace mlx::core::kernels
