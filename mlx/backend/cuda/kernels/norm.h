// Norms over rows of neighbours: a warp or a block holds a row in registers, reads it once and
// writes once. Backward, a block walks a strip of rows and keeps the sums of the parameters'
// gradients, which a second kernel adds in one order.
#pragma once

#include "mlx/backend/cuda/kernels/held_row.h"
#include "mlx/backend/cuda/kernels/norm_call.h"

namespace mlx::core::kernels {

constexpr int norm_threads = 256;

/** The sum of x over the `lanes` threads of a row, 32 or all. */
template <int lanes, typename C>
MLX_FN C row_sum(C x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  if constexpr (lanes > 32) {
    __shared__ C shared[lanes / 32];
    __syncthreads();
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
    __syncthreads();
    x = shared[0];
#pragma unroll
    for (int k = 1; k < lanes / 32; k++) x += shared[k];
  }
  return x;
}

/** Neighbours of a parameter, `otherwise` where it is not there. */
template <typename T, int width, typename C>
MLX_FN void read_parameter(const void* from, int64_t at, C otherwise, C (&v)[width]) {
  if (from) {
    auto pack = load_pack<T, width>(from, at);
#pragma unroll
    for (int j = 0; j < width; j++) v[j] = computed(pack.at[j]);
  } else {
#pragma unroll
    for (int j = 0; j < width; j++) v[j] = otherwise;
  }
}

template <typename C>
struct RowFacts {
  C mean, scale;
};

template <typename T, bool layer, int lanes, int width, int packs>
MLX_FN auto row_facts(const NormCall& p, HeldRow<T, lanes, width, packs>& x) {
  using C = decltype(computed(T{}));
  C n = static_cast<C>(p.length), mean = 0, squares = 0;
  if constexpr (layer) {
    C sum = 0;
    x.each(p.length, [&](int, int64_t, C(&v)[width]) {
#pragma unroll
      for (int j = 0; j < width; j++) sum += v[j];
    });
    mean = row_sum<lanes>(sum) / n;
  }
  x.each(p.length, [&](int, int64_t, C(&v)[width]) {
#pragma unroll
    for (int j = 0; j < width; j++) squares += (v[j] - mean) * (v[j] - mean);
  });
  squares = row_sum<lanes>(squares) / n;
  return RowFacts<C>{mean, C(1) / sqrt(squares + static_cast<C>(p.eps))};
}

/** The sum of x and the residual, rounded to T as if it were an array of its own. */
template <typename T, int lanes, int width, int packs>
MLX_FN void add_residual(const NormCall& p, int64_t first, HeldRow<T, lanes, width, packs>& x) {
  using C = decltype(computed(T{}));
  const T* residual = static_cast<const T*>(p.residual) + first;
  T* sum = static_cast<T*>(p.sum) + first;
  x.each(p.length, [&](int, int64_t at, C(&v)[width]) {
    auto pack = load_pack<T, width>(residual, at);
#pragma unroll
    for (int j = 0; j < width; j++) v[j] = computed(rounded<T>(v[j] + computed(pack.at[j])));
    write_values<T>(sum, at, v);
  });
  if constexpr (packs == 0) x.read(sum, p.length);
}

template <typename T, bool layer, int lanes, int width, int packs>
MLX_FN void norm_forward(const NormCall& p) {
  using C = decltype(computed(T{}));
  int64_t row = static_cast<int64_t>(blockIdx.x) * (norm_threads / lanes) + threadIdx.x / lanes;
  if (row >= p.rows) return;
  int64_t first = row * p.length;
  HeldRow<T, lanes, width, packs> x;
  x.read(static_cast<const T*>(p.x) + first, p.length);
  if (p.residual) add_residual(p, first, x);
  auto facts = row_facts<T, layer>(p, x);
  T* out = static_cast<T*>(p.out) + first;
  x.each(p.length, [&](int, int64_t at, C(&v)[width]) {
    C weight[width], bias[width], y[width];
    read_parameter<T>(p.weight, at, C(1), weight);
    read_parameter<T>(p.bias, at, C(0), bias);
#pragma unroll
    for (int j = 0; j < width; j++) {
      y[j] = (v[j] - facts.mean) * facts.scale * weight[j];
      if (p.bias) y[j] += bias[j];
    }
    write_values<T>(out, at, y);
  });
}

/** The sums of a strip for the parameters' gradients, by columns as a row is spread. */
template <typename C, int lanes, int width, int packs>
struct StripSums {
  C weight[packs][width], bias[packs][width];

  MLX_FN void start(C*, int64_t) {
#pragma unroll
    for (int k = 0; k < packs; k++) {
#pragma unroll
      for (int j = 0; j < width; j++) weight[k][j] = bias[k][j] = 0;
    }
  }
  MLX_FN void add(int k, int j, int64_t, C to_weight, C to_bias) {
    weight[k][j] += to_weight;
    bias[k][j] += to_bias;
  }
  /** The rows' warps of a block add theirs one after the other. */
  MLX_FN void finish(C* part, int64_t n) {
    constexpr int groups = norm_threads / lanes, columns = lanes * width * packs;
    __shared__ C shared[groups > 1 ? 2 * columns : 1];
    int group = threadIdx.x / lanes;
    for (int turn = 0; turn < groups; turn++) {
      if (group == turn) {
#pragma unroll
        for (int k = 0; k < packs; k++) {
#pragma unroll
          for (int j = 0; j < width; j++) {
            int at = (k * lanes + threadIdx.x % lanes) * width + j;
            if (groups > 1 && turn > 0) {
              weight[k][j] += shared[at];
              bias[k][j] += shared[columns + at];
            }
            if (groups > 1 && turn + 1 < groups) {
              shared[at] = weight[k][j];
              shared[columns + at] = bias[k][j];
            } else if (at < n) {
              part[at] = weight[k][j];
              part[n + at] = bias[k][j];
            }
          }
        }
      }
      if (groups > 1) __syncthreads();
    }
  }
};

/** Of long rows in memory; each column has one thread of the block. */
template <typename C, int lanes, int width>
struct StripSums<C, lanes, width, 0> {
  C* part;
  int64_t n;

  MLX_FN void start(C* where, int64_t length) {
    part = where;
    n = length;
    for (int64_t at = threadIdx.x * width; at < n; at += lanes * width) {
      for (int j = 0; j < width; j++) part[at + j] = part[n + at + j] = 0;
    }
  }
  MLX_FN void add(int, int j, int64_t at, C to_weight, C to_bias) {
    part[at + j] += to_weight;
    part[n + at + j] += to_bias;
  }
  MLX_FN void finish(C*, int64_t) {}
};

template <typename T, bool layer, int lanes, int width, int packs>
MLX_FN void norm_backward(const NormCall& p) {
  using C = decltype(computed(T{}));
  constexpr int groups = norm_threads / lanes;
  C n = static_cast<C>(p.length);
  C* part = static_cast<C*>(p.parts) + static_cast<int64_t>(blockIdx.x) * 2 * p.length;
  StripSums<C, lanes, width, packs> sums;
  if (p.parts) sums.start(part, p.length);
  int64_t row = blockIdx.x * p.strip_rows, end = row + p.strip_rows;
  if (end > p.rows) end = p.rows;
  for (row += threadIdx.x / lanes; row < end; row += groups) {
    HeldRow<T, lanes, width, packs> x, cotangent;
    x.read(static_cast<const T*>(p.x) + row * p.length, p.length);
    const T* from = static_cast<const T*>(p.cotangent) + row * p.length;
    cotangent.read(from, p.length);
    auto facts = row_facts<T, layer>(p, x);
    C sum = 0, product = 0;
    // Both rows are spread alike: x is looked up by pack where it is held, read again where not.
    auto value_of = [&](int k, int64_t at, int j) {
      if constexpr (packs > 0) {
        return x.values[k][j];
      } else {
        return static_cast<C>(computed(x.row[at + j]));
      }
    };
    cotangent.each(p.length, [&](int k, int64_t at, C(&v)[width]) {
      C weight[width];
      read_parameter<T>(p.weight, at, C(1), weight);
#pragma unroll
      for (int j = 0; j < width; j++) {
        C y = (value_of(k, at, j) - facts.mean) * facts.scale;
        if (p.parts) sums.add(k, j, at, v[j] * y, v[j]);
        C g = v[j] * weight[j];
        sum += g;
        product += g * y;
      }
    });
    C mean = layer ? row_sum<lanes>(sum) / n : C(0);
    product = row_sum<lanes>(product) / n;
    T* out = static_cast<T*>(p.out) + row * p.length;
    cotangent.each(p.length, [&](int k, int64_t at, C(&v)[width]) {
      C weight[width], result[width];
      read_parameter<T>(p.weight, at, C(1), weight);
#pragma unroll
      for (int j = 0; j < width; j++) {
        C y = (value_of(k, at, j) - facts.mean) * facts.scale;
        result[j] = facts.scale * (v[j] * weight[j] - mean - y * product);
      }
      write_values<T>(out, at, result);
    });
  }
  if (p.parts) sums.finish(part, p.length);
}

constexpr int parameter_columns = 32, parameter_strips = norm_threads / parameter_columns;

/** The gradients of weight and bias: the sums of all strips in their order. */
template <typename T>
MLX_FN void norm_parameters(const NormCall& p) {
  using C = decltype(computed(T{}));
  __shared__ double weights[parameter_strips][parameter_columns];
  __shared__ double biases[parameter_strips][parameter_columns];
  int64_t column = static_cast<int64_t>(blockIdx.x) * parameter_columns + threadIdx.x;
  double weight = 0, bias = 0;
  for (int64_t strip = threadIdx.y; column < p.length && strip < p.strips;
       strip += parameter_strips) {
    const C* part = static_cast<const C*>(p.parts) + strip * 2 * p.length;
    weight += part[column];
    bias += part[p.length + column];
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
