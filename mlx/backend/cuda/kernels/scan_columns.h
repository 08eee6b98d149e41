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
  int64_t count, column, chunk, begin, end;
  const T* in;
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
    T values[strip_rows];
    Total sum = F::start();
    int64_t from = base + strip * strip_rows;
    int64_t rest = c.active ? c.end - from : 0;
#pragma unroll
    for (int r = 0; r < strip_rows; r++) {
      if (r < rest) values[r] = load<T>(c.in, place_of(p, from + r) * p.inner);
    }
#pragma unroll
    for (int r = 0; r < strip_rows; r++) {
      if (r < rest) F::add(sum, values[r], 0);
    }
    c.exchange(sum);
    Total running = F::merge(carry, c.first_strips(strip));
    carry = F::merge(carry, c.first_strips(column_strips));
#pragma unroll
    for (int r = 0; r < strip_rows; r++) {
      if (r >= rest) continue;
      store<T>(c.out, place_of(p, from + r) * p.inner, advance<F, T>(p, running, values[r]));
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
#pragma unroll 8
    for (int64_t i = c.begin + threadIdx.y; i < c.end; i += column_strips) {
      F::add(total, load<T>(c.in, place_of(p, i) * p.inner), 0);
    }
  }
  c.exchange(total);
  if (c.active && threadIdx.y == 0) {
    static_cast<Total*>(p.totals)[c.chunk * c.count + c.column] = c.first_strips(column_strips);
  }
}

}  // namespace mlx::core::kernels
