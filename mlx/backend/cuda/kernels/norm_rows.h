// Norms over rows of neighbours: a block per row forward and backward, and the parameters'
// gradients down the columns.
#pragma once

#include "mlx/backend/cuda/kernels/fold.h"

namespace mlx::core::kernels {

struct NormRows {
  int64_t rows, length;
  double eps;
  const void *x, *weight, *bias, *cotangent;
  void *out, *weight_out, *bias_out;
  void* row_facts;  // mean and inverse deviation of each row
};

template <typename C>
struct AddFold {
  using Total = C;
  MLX_FN static C merge(C a, C b) { return a + b; }
};

constexpr int norm_threads = 256;

template <typename C>
MLX_FN C row_sum(C mine, C* shared) {
  C sum = merge_lanes<AddFold<C>, norm_threads>(mine, shared);
  __syncthreads();
  return sum;
}

template <typename C>
struct RowFacts {
  C mean, scale;
};

template <typename T, bool layer>
MLX_FN RowFacts<Computed<T>> row_facts(const NormRows& p, const T* x, Computed<T>* shared) {
  using C = Computed<T>;
  C n = static_cast<C>(p.length), mean = 0, squares = 0;
  if constexpr (layer) {
    C sum = 0;
    for (int64_t i = threadIdx.x; i < p.length; i += norm_threads) sum += computed(x[i]);
    mean = row_sum(sum, shared) / n;
  }
  for (int64_t i = threadIdx.x; i < p.length; i += norm_threads) {
    C d = computed(x[i]) - mean;
    squares += d * d;
  }
  squares = row_sum(squares, shared) / n;
  return {mean, C(1) / sqrt(squares + static_cast<C>(p.eps))};
}

template <typename T, bool layer>
MLX_FN void norm_forward(const NormRows& p) {
  using C = Computed<T>;
  __shared__ C shared[norm_threads];
  const T* x = static_cast<const T*>(p.x) + blockIdx.x * p.length;
  T* out = static_cast<T*>(p.out) + blockIdx.x * p.length;
  auto facts = row_facts<T, layer>(p, x, shared);
  for (int64_t i = threadIdx.x; i < p.length; i += norm_threads) {
    C y = (computed(x[i]) - facts.mean) * facts.scale;
    if (p.weight) y *= computed(static_cast<const T*>(p.weight)[i]);
    if (p.bias) y += computed(static_cast<const T*>(p.bias)[i]);
    out[i] = rounded<T>(y);
  }
}

template <typename T, bool layer>
MLX_FN void norm_backward(const NormRows& p) {
  using C = Computed<T>;
  __shared__ C shared[norm_threads];
  int64_t first = blockIdx.x * p.length;
  const T* x = static_cast<const T*>(p.x) + first;
  const T* cotangent = static_cast<const T*>(p.cotangent) + first;
  const T* weight = static_cast<const T*>(p.weight);
  T* out = static_cast<T*>(p.out) + first;
  auto facts = row_facts<T, layer>(p, x, shared);
  C sum = 0, product = 0, n = static_cast<C>(p.length);
  for (int64_t i = threadIdx.x; i < p.length; i += norm_threads) {
    C g = computed(cotangent[i]);
    if (weight) g *= computed(weight[i]);
    sum += g;
    product += g * (computed(x[i]) - facts.mean) * facts.scale;
  }
  C mean = layer ? row_sum(sum, shared) / n : C(0);
  product = row_sum(product, shared) / n;
  for (int64_t i = threadIdx.x; i < p.length; i += norm_threads) {
    C g = computed(cotangent[i]);
    if (weight) g *= computed(weight[i]);
    C y = (computed(x[i]) - facts.mean) * facts.scale;
    out[i] = rounded<T>(facts.scale * (g - mean - y * product));
  }
  if (threadIdx.x == 0) static_cast<RowFacts<C>*>(p.row_facts)[blockIdx.x] = facts;
}

constexpr int parameter_columns = 32, parameter_strips = 8;

/** The gradients of weight and bias: sums over all rows, a column per threadIdx.x. */
template <typename T>
MLX_FN void norm_parameters(const NormRows& p) {
  using C = Computed<T>;
  __shared__ double weights[parameter_strips][parameter_columns];
  __shared__ double biases[parameter_strips][parameter_columns];
  int64_t column = static_cast<int64_t>(blockIdx.x) * parameter_columns + threadIdx.x;
  double weight = 0, bias = 0;
  for (int64_t row = threadIdx.y; column < p.length && row < p.rows; row += parameter_strips) {
    auto facts = static_cast<const RowFacts<C>*>(p.row_facts)[row];
    int64_t at = row * p.length + column;
    C g = computed(static_cast<const T*>(p.cotangent)[at]);
    bias += g;
    weight += g * (computed(static_cast<const T*>(p.x)[at]) - facts.mean) * facts.scale;
  }
  weights[threadIdx.y][threadIdx.x] = weight;
  biases[threadIdx.y][threadIdx.x] = bias;
  __syncthreads();
  if (threadIdx.y > 0 || column >= p.length) return;
  for (int k = 1; k < parameter_strips; k++) {
    weight += weights[k][threadIdx.x];
    bias += biases[k][threadIdx.x];
  }
  if (p.weight_out) static_cast<T*>(p.weight_out)[column] = cast<T>(weight);
  if (p.bias_out) static_cast<T*>(p.bias_out)[column] = cast<T>(bias);
}

}  // namespace mlx::core::kernels
