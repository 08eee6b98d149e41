// Softmax: a block or a warp per row where the values are neighbours, a thread per column else.
#pragma once

#include "mlx/backend/cuda/kernels/fold.h"
#include "mlx/backend/cuda/kernels/held_row.h"
#include "mlx/backend/cuda/kernels/softmax_call.h"
#include "mlx/kernels/softmax.h"

namespace mlx::core::kernels {

constexpr int softmax_threads = 256;

/** Rows that registers hold. */
template <typename T, int lanes, int width, int packs>
MLX_FN void softmax_held_rows(const SoftmaxRows& p) {
  using C = Computed<T>;
  __shared__ C shared[softmax_threads];
  int64_t row = static_cast<int64_t>(blockIdx.x) * (softmax_threads / lanes) + threadIdx.x / lanes;
  int64_t n = row < p.outer ? p.length : 0;
  HeldRow<T, lanes, width, packs> x;
  x.read(static_cast<const T*>(p.in) + row * p.length, n);
  C shift = -inf_f, sum = 0;
  x.each(n, [&](int, int64_t, C(&v)[width]) {
#pragma unroll
    for (int j = 0; j < width; j++) shift = MaxOp().apply(shift, v[j]);
  });
  shift = merge_lanes<MaxFold<C>, lanes>(shift, shared);
  __syncthreads();
  x.each(n, [&](int, int64_t, C(&v)[width]) {
#pragma unroll
    for (int j = 0; j < width; j++) {
      v[j] = exp_nonpositive(v[j] - shift);
      sum += v[j];
    }
  });
  C scale = C(1) / merge_lanes<SumFold<C>, lanes>(sum, shared);
  T* out = static_cast<T*>(p.out) + row * p.length;
  x.each(n, [&](int, int64_t at, C(&v)[width]) {
#pragma unroll
    for (int j = 0; j < width; j++) v[j] *= scale;
    write_values<T>(out, at, v);
  });
}

/** Longer ones, which the caches may hold. */
template <typename T, int lanes>
MLX_FN void softmax_rows(const SoftmaxRows& p) {
  using C = Computed<T>;
  __shared__ C shared[softmax_threads];
  int lane = threadIdx.x % lanes;
  int64_t row = static_cast<int64_t>(blockIdx.x) * (softmax_threads / lanes) + threadIdx.x / lanes;
  int64_t n = row < p.outer ? p.length : 0;
  const T* in = static_cast<const T*>(p.in) + row * p.length;
  T* out = static_cast<T*>(p.out) + row * p.length;
  C shift = -inf_f;
#pragma unroll 4
  for (int64_t i = lane; i < n; i += lanes) shift = MaxOp().apply(shift, computed(in[i]));
  shift = merge_lanes<MaxFold<C>, lanes>(shift, shared);
  __syncthreads();
  C sum = 0;
#pragma unroll 4
  for (int64_t i = lane; i < n; i += lanes) sum += exp_nonpositive(computed(in[i]) - shift);
  sum = merge_lanes<SumFold<C>, lanes>(sum, shared);
  C scale = C(1) / sum;
#pragma unroll 4
  for (int64_t i = lane; i < n; i += lanes) {
    out[i] = rounded<T>(exp_nonpositive(computed(in[i]) - shift) * scale);
  }
}

template <typename T>
MLX_FN void softmax_columns(const SoftmaxRows& p) {
  using C = Computed<T>;
  int64_t column = thread_number<int64_t>();
  if (column >= p.outer * p.inner) return;
  int64_t first = column / p.inner * p.length * p.inner + column % p.inner;
  const T* in = static_cast<const T*>(p.in) + first;
  T* out = static_cast<T*>(p.out) + first;
  C shift = -inf_f;
  for (int64_t i = 0; i < p.length; i++) shift = MaxOp().apply(shift, computed(in[i * p.inner]));
  double sum = 0;
  for (int64_t i = 0; i < p.length; i++) {
    sum += exp_nonpositive(computed(in[i * p.inner]) - shift);
  }
  C scale = static_cast<C>(1.0 / sum);
  for (int64_t i = 0; i < p.length; i++) {
    out[i * p.inner] = rounded<T>(exp_nonpositive(computed(in[i * p.inner]) - shift) * scale);
  }
}

/** out = y (d - sum(d y)) for each row y = in and direction d. */
template <typename T, int lanes>
MLX_FN void softmax_jacobian(const SoftmaxRows& p) {
  using C = Computed<T>;
  __shared__ C shared[softmax_threads];
  int lane = threadIdx.x % lanes;
  int64_t row = static_cast<int64_t>(blockIdx.x) * (softmax_threads / lanes) + threadIdx.x / lanes;
  int64_t n = row < p.outer ? p.length : 0;
  const T* y = static_cast<const T*>(p.in) + row * p.length;
  const T* d = static_cast<const T*>(p.direction) + row * p.length;
  T* out = static_cast<T*>(p.out) + row * p.length;
  C sum = 0;
  for (int64_t i = lane; i < n; i += lanes) sum += computed(y[i]) * computed(d[i]);
  sum = merge_lanes<SumFold<C>, lanes>(sum, shared);
  for (int64_t i = lane; i < n; i += lanes) {
    out[i] = rounded<T>(computed(y[i]) * (computed(d[i]) - sum));
  }
}

}  // namespace mlx::core::kernels
