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
MLX_FN void add_residual(const NormCall& p, int64_t first, HeldRow<T, lanes, width, packs>& x,
                         bool stores = true) {
  using C = decltype(computed(T{}));
  const T* residual = static_cast<const T*>(p.residual) + first;
  T* sum = static_cast<T*>(p.sum) + first;
  x.each(p.length, [&](int, int64_t at, C(&v)[width]) {
    auto pack = load_pack<T, width>(residual, at);
#pragma unroll
    for (int j = 0; j < width; j++) v[j] = as_stored<T>(v[j] + computed(pack.at[j]));
    if (stores) write_values<T>(sum, at, v);
  });
  if constexpr (packs == 0) x.read(sum, p.length);
}

/** Asks for the parameters, which a row waits for otherwise when it has its facts. */
template <typename T>
MLX_FN void fetch_parameters(const NormCall& p) {
  if (blockIdx.x > 0 || threadIdx.x > 0) return;
  int64_t bytes = p.length * sizeof(T);
  if (p.weight) fetch_ahead(p.weight, bytes);
  if (p.bias) fetch_ahead(p.bias, bytes);
}

/** write(column, values) for all of a normalised row. */
template <typename T, bool layer, int lanes, int width, int packs, typename F>
MLX_FN void normalise(const NormCall& p, HeldRow<T, lanes, width, packs>& x, F write) {
  using C = decltype(computed(T{}));
  auto facts = row_facts<T, layer>(p, x);
  x.each(p.length, [&](int, int64_t at, C(&v)[width]) {
    C weight[width], bias[width], y[width];
    read_parameter<T>(p.weight, at, C(1), weight);
    read_parameter<T>(p.bias, at, C(0), bias);
#pragma unroll
    for (int j = 0; j < width; j++) {
      y[j] = (v[j] - facts.mean) * facts.scale * weight[j];
      if (p.bias) y[j] += bias[j];
    }
    write(at, y);
  });
}

template <typename T, bool layer, int lanes, int width, int packs>
MLX_FN void norm_forward(const NormCall& p) {
  int64_t row = static_cast<int64_t>(blockIdx.x) * (norm_threads / lanes) + threadIdx.x / lanes;
  if (row >= p.rows) return;
  int64_t first = row * p.length;
  HeldRow<T, lanes, width, packs> x;
  x.read(static_cast<const T*>(p.x) + first, p.length);
  if (p.residual) add_residual(p, first, x);
  T* out = static_cast<T*>(p.out) + first;
  normalise<T, layer>(p, x, [&](int64_t at, auto& y) { write_values<T>(out, at, y); });
}

/** Makes a single row by each block, in `to`; the first block stores it and the sum as well. */
template <typename T, bool layer, int lanes, int width, int packs>
MLX_FN void norm_row(const NormCall& p, void* to) {
  HeldRow<T, lanes, width, packs> x;
  x.read(static_cast<const T*>(p.x), p.length);
  bool stores = blockIdx.x == 0 && threadIdx.x < lanes;
  if (p.residual) add_residual(p, 0, x, stores);
  normalise<T, layer>(p, x, [&](int64_t at, auto& y) {
    if (threadIdx.x < lanes) write_values<T>(static_cast<T*>(to), at, y);
    if (stores) write_values<T>(static_cast<T*>(p.out), at, y);
  });
}

/** v plus neighbours of another row, v rounded to T as if it were an array of its own. */
template <typename T, int width, typename C>
MLX_FN void add_to_stored(C (&v)[width], const Pack<T, width>& other) {
#pragma unroll
  for (int j = 0; j < width; j++) v[j] = as_stored<T>(v[j]) + computed(other.at[j]);
}

/** Threads of a block of the backward kernel: few where a warp has a row, so that many blocks fit
 *  beside each other however many registers a thread takes. */
template <int lanes>
inline constexpr int backward_threads = lanes > 32 ? lanes : 128;

/** The sums of a strip for a parameter's gradient, by columns as a row is spread. */
template <typename C, int lanes, int width, int packs>
struct StripSums {
  C values[packs][width];

  MLX_FN void start() {
#pragma unroll
    for (int k = 0; k < packs; k++) {
#pragma unroll
      for (int j = 0; j < width; j++) values[k][j] = 0;
    }
  }
  /** Writes the sums of all warps of the block, in the order of the columns. */
  MLX_FN void finish(C* part, int64_t n) {
    constexpr int groups = backward_threads<lanes> / lanes;
    if constexpr (groups == 1) {
#pragma unroll
      for (int k = 0; k < packs; k++) {
        int64_t at = (k * lanes + threadIdx.x) * width;
        if (at < n) write_values<C>(part, at, values[k]);
      }
    } else {
      // Neighbours are `pitch` apart, so that both sides reach all banks.
      constexpr int pitch = lanes + 32 / width, columns = lanes * width * packs;
      __shared__ C shared[groups][packs * width * pitch];
      __syncthreads();
#pragma unroll
      for (int k = 0; k < packs; k++) {
#pragma unroll
        for (int j = 0; j < width; j++) {
          shared[threadIdx.x / lanes][(k * width + j) * pitch + threadIdx.x % lanes] = values[k][j];
        }
      }
      __syncthreads();
      for (int at = threadIdx.x; at < columns && at < n; at += groups * lanes) {
        int lane = at / width % lanes, row = at / (width * lanes) * width + at % width;
        C sum = shared[0][row * pitch + lane];
#pragma unroll
        for (int group = 1; group < groups; group++) sum += shared[group][row * pitch + lane];
        part[at] = sum;
      }
    }
  }
};

/** Rows in registers: what is read becomes the normalised row and the weighted cotangent there. */
template <typename T, bool layer, int lanes, int width, int packs>
struct HeldBackward {
  using C = decltype(computed(T{}));
  using Row = HeldRow<T, lanes, width, packs>;
  const NormCall& p;
  C inverse;  // of the row's length
  StripSums<C, lanes, width, packs> weights, biases;

  MLX_FN HeldBackward(const NormCall& call, C*)
      : p(call), inverse(C(1) / static_cast<C>(p.length)) {
    weights.start();
    biases.start();
  }

  MLX_FN C normalise(Row& x) const {
    C squares = 0;
    if constexpr (layer) {
      C sum = 0;
      x.each(p.length, [&](int, int64_t, C(&v)[width]) {
#pragma unroll
        for (int j = 0; j < width; j++) sum += v[j];
      });
      C mean = row_sum<lanes>(sum) * inverse;
      x.each(p.length, [&](int, int64_t, C(&v)[width]) {
#pragma unroll
        for (int j = 0; j < width; j++) v[j] -= mean;
      });
    }
    x.each(p.length, [&](int, int64_t, C(&v)[width]) {
#pragma unroll
      for (int j = 0; j < width; j++) squares = madd(v[j], v[j], squares);
    });
    C scale = C(1) / sqrt(row_sum<lanes>(squares) * inverse + static_cast<C>(p.eps));
    x.each(p.length, [&](int, int64_t, C(&v)[width]) {
#pragma unroll
      for (int j = 0; j < width; j++) v[j] *= scale;
    });
    return scale;
  }

  MLX_FN void row(int64_t number) {
    Row y, g;
    y.read(static_cast<const T*>(p.x) + number * p.length, p.length);
    g.read(static_cast<const T*>(p.cotangent) + number * p.length, p.length);
    Pack<T, width> others[packs];  // asked for here, since they are on their way for long
    if (p.residual) {
      const T* residual = static_cast<const T*>(p.residual) + number * p.length;
      g.each(p.length, [&](int k, int64_t at, C(&)[width]) {
        others[k] = load_pack<T, width>(residual, at);
      });
    }
    C scale = normalise(y), sum = 0, product = 0;
    g.each(p.length, [&](int k, int64_t at, C(&v)[width]) {
      C weight[width];
      read_parameter<T>(p.weight, at, C(1), weight);
#pragma unroll
      for (int j = 0; j < width; j++) {
        weights.values[k][j] = madd(v[j], y.values[k][j], weights.values[k][j]);
        biases.values[k][j] += v[j];
        v[j] *= weight[j];
        sum += v[j];
        product = madd(v[j], y.values[k][j], product);
      }
    });
    C mean = layer ? row_sum<lanes>(sum) * inverse : C(0);
    product = row_sum<lanes>(product) * inverse;
    T* out = static_cast<T*>(p.out) + number * p.length;
    g.each(p.length, [&](int k, int64_t at, C(&v)[width]) {
      C result[width];
#pragma unroll
      for (int j = 0; j < width; j++) {
        result[j] = madd(madd(-product, y.values[k][j], v[j]), scale, -mean * scale);
      }
      if (p.residual) add_to_stored<T>(result, others[k]);
      write_values<T>(out, at, result);
    });
  }

  MLX_FN void finish(C* part) {
    weights.finish(part, p.length);
    biases.finish(part + p.length, p.length);
  }
};

/** Rows too long for registers: read again for each turn, with their sums in memory, where each
 *  column has one thread of the block. */
template <typename T, bool layer, int lanes, int width>
struct HeldBackward<T, layer, lanes, width, 0> {
  using C = decltype(computed(T{}));
  const NormCall& p;
  C* part;

  MLX_FN HeldBackward(const NormCall& call, C* sums) : p(call), part(sums) {
    for (int64_t at = threadIdx.x * width; part && at < p.length; at += lanes * width) {
      for (int j = 0; j < width; j++) part[at + j] = part[p.length + at + j] = 0;
    }
  }

  MLX_FN void row(int64_t number) {
    HeldRow<T, lanes, width, 0> x, cotangent;
    x.read(static_cast<const T*>(p.x) + number * p.length, p.length);
    cotangent.read(static_cast<const T*>(p.cotangent) + number * p.length, p.length);
    auto facts = row_facts<T, layer>(p, x);
    C n = static_cast<C>(p.length), sum = 0, product = 0;
    auto normalised = [&](int64_t at) {
      return (static_cast<C>(computed(x.row[at])) - facts.mean) * facts.scale;
    };
    cotangent.each(p.length, [&](int, int64_t at, C(&v)[width]) {
      C weight[width];
      read_parameter<T>(p.weight, at, C(1), weight);
#pragma unroll
      for (int j = 0; j < width; j++) {
        C y = normalised(at + j), g = v[j] * weight[j];
        if (part) {
          part[at + j] += v[j] * y;
          part[p.length + at + j] += v[j];
        }
        sum += g;
        product += g * y;
      }
    });
    C mean = layer ? row_sum<lanes>(sum) / n : C(0);
    product = row_sum<lanes>(product) / n;
    T* out = static_cast<T*>(p.out) + number * p.length;
    const T* residual =
        p.residual ? static_cast<const T*>(p.residual) + number * p.length : nullptr;
    cotangent.each(p.length, [&](int, int64_t at, C(&v)[width]) {
      C weight[width], result[width];
      read_parameter<T>(p.weight, at, C(1), weight);
#pragma unroll
      for (int j = 0; j < width; j++) {
        result[j] = facts.scale * (v[j] * weight[j] - mean - normalised(at + j) * product);
      }
      if (residual) add_to_stored<T>(result, load_pack<T, width>(residual, at));
      write_values<T>(out, at, result);
    });
  }

  MLX_FN void finish(C*) {}
};

template <typename T, bool layer, int lanes, int width, int packs>
MLX_FN void norm_backward(const NormCall& p) {
  using C = decltype(computed(T{}));
  constexpr int groups = backward_threads<lanes> / lanes;
  C* part = p.parts ? static_cast<C*>(p.parts) + static_cast<int64_t>(blockIdx.x) * 2 * p.length
                    : nullptr;
  HeldBackward<T, layer, lanes, width, packs> work(p, part);
  int64_t row = blockIdx.x * p.strip_rows, end = row + p.strip_rows;
  if (end > p.rows) end = p.rows;
  for (row += threadIdx.x / lanes; row < end; row += groups) work.row(row);
  if (part) work.finish(part);
}

constexpr int parameter_columns = 32, parameter_strips = 32;

/** The gradients of weight and bias: the sums of all strips in their order. */
template <typename T>
MLX_FN void norm_parameters(const NormCall& p) {
  using C = decltype(computed(T{}));
  __shared__ double weights[parameter_strips][parameter_columns];
  __shared__ double biases[parameter_strips][parameter_columns];
  int64_t column = static_cast<int64_t>(blockIdx.x) * parameter_columns + threadIdx.x;
  double weight = 0, bias = 0;
  if (column < p.length) {
    const C* part = static_cast<const C*>(p.parts) + column;
#pragma unroll 8
    for (int64_t strip = threadIdx.y; strip < p.strips; strip += parameter_strips) {
      weight += part[strip * 2 * p.length];
      bias += part[strip * 2 * p.length + p.length];
    }
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
