// Running folds down columns, and along rows of a few values: threads take columns, and strips of
// threads parts of them.
#pragma once

#include "mlx/backend/cuda/kernels/scan.h"

namespace mlx::core::kernels {

/** The columns of a block: neighbouring threads take neighbours, and threadIdx.y is the strip. */
template <typename F, typename T>
struct Columns {
  using Total = typename F::Total;
  Total (&shared)[column_strips][columns_across];
  int64_t count, column, chunk, begin, end, step;
  const T* in;  // where the running order begins, from which values lie `step` apart
  T* out;
  bool active;

  MLX_FN Columns(const ScanCall& p, Total (&memory)[column_strips][columns_across])
      : shared(memory) {
    count = p.rows * p.inner;
    column = static_cast<int64_t>(blockIdx.x) * columns_across + threadIdx.x;
    active = column < count;
    chunk = blockIdx.y;
    begin = chunk * p.chunk_length;
    end = begin + p.chunk_length < p.length ? begin + p.chunk_length : p.length;
    int64_t first = column / p.inner * p.length * p.inner + column % p.inner;
    if (p.backward) first += (p.length - 1) * p.inner;
    step = p.backward ? -p.inner : p.inner;
    in = static_cast<const T*>(p.in) + first;
    out = static_cast<T*>(p.out) + first;
  }
  /** Makes the strips' totals known to each other. */
  MLX_FN void exchange(Total mine) {
    __syncthreads();
    shared[threadIdx.y][threadIdx.x] = mine;
    __syncthreads();
  }
  MLX_FN Total first_strips(int strips) const {
    Total total = F::start();
    for (int s = 0; s < strips; s++) total = F::merge(total, shared[s][threadIdx.x]);
    return total;
  }
};

/** What a strip has of a tile, in registers. Values behind the last one are zeros, which only reach
 *  what lies behind them. */
template <typename F, typename T>
struct StripValues {
  using Total = typename F::Total;
  T values[strip_rows] = {};
  int64_t first;
  int count;

  MLX_FN StripValues(const Columns<F, T>& c, int64_t base) {
    first = base + threadIdx.y * strip_rows;
    int64_t rest = c.active ? c.end - first : 0;
    count = static_cast<int>(rest < strip_rows ? rest : strip_rows);
    const T* in = c.in + first * c.step;
#pragma unroll
    for (int r = 0; r < strip_rows; r++, in += c.step) {
      if (r < count) values[r] = load<T>(in, 0);
    }
  }
  MLX_FN Total sum() const {
    Total sum = F::start();
#pragma unroll
    for (int r = 0; r < strip_rows; r++) F::add(sum, values[r], 0);
    return sum;
  }
  template <bool exclusive>
  MLX_FN void write(const Columns<F, T>& c, Total running) const {
    T* out = c.out + first * c.step;
#pragma unroll
    for (int r = 0; r < strip_rows; r++, out += c.step) {
      T result = advance<F, T>(exclusive, running, values[r]);
      if (r < count) store<T>(out, 0, result);
    }
  }
};

template <typename F, typename T>
MLX_FN void scan_columns(const ScanCall& p) {
  using Total = typename F::Total;
  __shared__ Total shared[column_strips][columns_across];
  Columns<F, T> c(p, shared);
  int strip = threadIdx.y;
  Total carry = F::start();
  if (c.chunk > 0) {
    if (c.active) carry = chunks_before<F>(p, c.chunk, c.column, c.count, strip, column_strips);
    c.exchange(carry);
    carry = c.first_strips(column_strips);
  }
  for (int64_t base = c.begin; base < c.end; base += column_tile) {
    StripValues<F, T> strip_values(c, base);
    c.exchange(strip_values.sum());
    Total running = F::merge(carry, c.first_strips(strip));
    carry = F::merge(carry, c.first_strips(column_strips));
    if (p.exclusive) {
      strip_values.template write<true>(c, running);
    } else {
      strip_values.template write<false>(c, running);
    }
  }
}

/** The totals of the chunks of columns. */
template <typename F, typename T>
MLX_FN void total_columns(const ScanCall& p) {
  using Total = typename F::Total;
  __shared__ Total shared[column_strips][columns_across];
  Columns<F, T> c(p, shared);
  Total total = F::start();
  if (c.active) {
    int64_t begin = c.begin + threadIdx.y;
    const T* in = c.in + begin * c.step;
#pragma unroll 8
    for (int64_t i = begin; i < c.end; i += column_strips, in += column_strips * c.step) {
      F::add(total, load<T>(in, 0), 0);
    }
  }
  c.exchange(total);
  if (c.active && threadIdx.y == 0) {
    static_cast<Total*>(p.totals)[c.chunk * c.count + c.column] = c.first_strips(column_strips);
  }
}

}  // namespace mlx::core::kernels
