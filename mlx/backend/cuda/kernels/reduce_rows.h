// Reductions: along rows by neighbouring threads, down columns by one thread per column and strip,
// and the merging of the parts of long ones.
#pragma once

#include "mlx/backend/cuda/kernels/fold.h"
#include "mlx/backend/cuda/kernels/reduce_call.h"

namespace mlx::core::kernels {

template <int kept, int reduced>
struct Reduction : ReductionCall {
  int64_t kept_shape[kept], kept_strides[1][kept];
  int64_t reduced_shape[reduced], reduced_strides[1][reduced];
};

constexpr int reduce_threads = 256;

template <typename F, typename Out, int kept, int reduced>
MLX_FN void put_total(const Reduction<kept, reduced>& p, typename F::Total total, int64_t output,
                      int64_t chunk) {
  if (p.chunks > 1) {
    static_cast<typename F::Total*>(p.totals)[chunk * p.outputs + output] = total;
  } else {
    store<Out>(p.out, output, F::finish(total, p.divisor, p.ddof));
  }
}

/** Adds the values of packs of a row, the first of which is number `first` and the others so far
 *  apart, as far as they lie before `end`. */
template <typename F, typename T, int width, int count>
MLX_FN void add_packs(typename F::Part& part, const Pack<T, width> (&packs)[count], int64_t first,
                      int64_t apart, int64_t end) {
  if constexpr (requires { F::nothing(); }) {
    Computed<T> values[count * width];
#pragma unroll
    for (int i = 0; i < count * width; i++) {
      int k = i / width;
      bool exists = first + k * apart < end;
      values[i] = exists ? computed(from_stored<T>(packs[k].at[i % width])) : F::nothing();
    }
    F::add_values(part, values);
  } else {
#pragma unroll
    for (int k = 0; k < count; k++) {
      int64_t i = first + k * apart;
      if (i >= end) continue;
#pragma unroll
      for (int j = 0; j < width; j++) F::add(part, from_stored<T>(packs[k].at[j]), i + j);
    }
  }
}

/** Values [begin, end) of a row of neighbours, dealt to `lanes` threads. */
template <typename F, typename T, int lanes>
MLX_FN typename F::Part fold_dense(const T* row, int64_t begin, int64_t end, int lane) {
  // Packs that are read at once: as many as registers hold values.
  constexpr int width = 16 / sizeof(T), ahead = width > 4 ? 2 : 4;
  constexpr int64_t apart = lanes * width;
  auto part = F::start();
  int64_t i = begin;
  auto first = reinterpret_cast<uint64_t>(row + begin);
  if (first % sizeof(T) == 0) {
    int64_t skip = static_cast<int64_t>((16 - first % 16) % 16 / sizeof(T));
    int64_t head = begin + skip < end ? begin + skip : end;
    for (i = begin + lane; i < head; i += lanes) F::add(part, load<T>(row, i), i);
    int64_t body = head + (end - head) / width * width;
    for (i = head + lane * width; i < body; i += ahead * apart) {
      Pack<T, width> packs[ahead];
#pragma unroll
      for (int k = 0; k < ahead; k++) {
        if (i + k * apart < body) packs[k] = load_pack<T, width>(row, i + k * apart);
      }
      add_packs<F>(part, packs, i, apart, body);
    }
    i = body;
  }
  for (i += lane; i < end; i += lanes) F::add(part, load<T>(row, i), i);
  return part;
}

/** The total of `lanes` neighbouring threads' parts. */
template <typename F, int lanes>
MLX_FN typename F::Total merge_parts(typename F::Part part) {
  if constexpr (requires { F::template merge_parts<lanes, reduce_threads>(part); }) {
    return F::template merge_parts<lanes, reduce_threads>(part);
  } else {
    __shared__ typename F::Total shared[reduce_threads];
    return merge_lanes<F, lanes>(F::total(part), shared);
  }
}

template <typename F, typename T, typename Out, int lanes, bool dense, int kept, int reduced>
MLX_FN void reduce_rows(const Reduction<kept, reduced>& p) {
  int lane = threadIdx.x % lanes;
  int64_t task = static_cast<int64_t>(blockIdx.x) * (reduce_threads / lanes) + threadIdx.x / lanes;
  bool active = task < p.outputs * p.chunks;
  int64_t output = active ? task / p.chunks : 0;
  int64_t chunk = active ? task % p.chunks : 0;
  int64_t begin = chunk * p.chunk_length;
  int64_t end = begin + p.chunk_length < p.length ? begin + p.chunk_length : p.length;
  if (!active) end = begin;
  int64_t at[1];
  find_places<int64_t>(output, p.kept_shape, p.kept_strides, at);
  const T* row = static_cast<const T*>(p.in) + at[0];
  auto part = F::start();
  if constexpr (dense) {
    part = fold_dense<F, T, lanes>(row, begin, end, lane);
  } else {
    for (int64_t i = begin + lane; i < end; i += lanes) {
      int64_t place[1];
      find_places<int64_t>(i, p.reduced_shape, p.reduced_strides, place);
      F::add(part, load<T>(row, place[0]), i);
    }
  }
  auto total = merge_parts<F, lanes>(part);
  if (active && lane == 0) put_total<F, Out>(p, total, output, chunk);
}

constexpr int column_threads = 32, strips = reduce_threads / column_threads;

/** Neighbouring threads take `width` neighbouring results each; threadIdx.y is the strip. */
template <typename F, typename T, typename Out, int width, int kept, int reduced>
MLX_FN void reduce_columns(const Reduction<kept, reduced>& p) {
  __shared__ typename F::Total shared[strips][width][column_threads];
  int64_t output = (static_cast<int64_t>(blockIdx.x) * column_threads + threadIdx.x) * width;
  int64_t chunk = blockIdx.y;
  int64_t begin = chunk * p.chunk_length;
  int64_t end = begin + p.chunk_length < p.length ? begin + p.chunk_length : p.length;
  bool active = output < p.outputs;
  int64_t at[1];
  find_places<int64_t>(active ? output : 0, p.kept_shape, p.kept_strides, at);
  const T* column = static_cast<const T*>(p.in) + at[0];
  typename F::Part parts[width];
#pragma unroll
  for (int j = 0; j < width; j++) parts[j] = F::start();
  if (active) {
#pragma unroll 4
    for (int64_t i = begin + threadIdx.y; i < end; i += strips) {
      int64_t place[1];
      find_places<int64_t>(i, p.reduced_shape, p.reduced_strides, place);
      auto pack = load_pack<T, width>(column, place[0]);
#pragma unroll
      for (int j = 0; j < width; j++) F::add(parts[j], from_stored<T>(pack.at[j]), i);
    }
  }
#pragma unroll
  for (int j = 0; j < width; j++) shared[threadIdx.y][j][threadIdx.x] = F::total(parts[j]);
  __syncthreads();
  for (int j = threadIdx.y; active && j < width; j += strips) {
    auto total = shared[0][j][threadIdx.x];
    for (int k = 1; k < strips; k++) total = F::merge(total, shared[k][j][threadIdx.x]);
    put_total<F, Out>(p, total, output + j, chunk);
  }
}

template <typename F, typename Out, int kept, int reduced>
MLX_FN void merge_chunks(const Reduction<kept, reduced>& p) {
  __shared__ typename F::Total shared[reduce_threads];
  int64_t output = static_cast<int64_t>(blockIdx.x) * (reduce_threads / 32) + threadIdx.x / 32;
  auto* totals = static_cast<const typename F::Total*>(p.totals);
  auto total = F::total(F::start());
  if (output < p.outputs) {
    for (int64_t c = threadIdx.x % 32; c < p.chunks; c += 32) {
      total = F::merge(total, totals[c * p.outputs + output]);
    }
  }
  total = merge_lanes<F, 32>(total, shared);
  if (output < p.outputs && threadIdx.x % 32 == 0) {
    store<Out>(p.out, output, F::finish(total, p.divisor, p.ddof));
  }
}

}  // namespace mlx::core::kernels
