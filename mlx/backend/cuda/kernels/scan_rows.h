// Running folds along rows: a warp or a block takes neighbours in packs.
#pragma once

#include "mlx/backend/cuda/kernels/scan.h"

namespace mlx::core::kernels {

/** `x` of the lane that `from` reads each of its words from. */
template <typename Total, typename From>
MLX_FN Total of_lane(Total x, From from) {
  constexpr int count = (sizeof(Total) + 3) / 4;
  uint32_t words[count] = {};
  memcpy(words, &x, sizeof(Total));
#pragma unroll
  for (int i = 0; i < count; i++) words[i] = from(words[i]);
  memcpy(&x, words, sizeof(Total));
  return x;
}

/** Inclusive scan over the lanes of a warp. */
template <typename F>
MLX_FN typename F::Total scan_lanes(typename F::Total x, int lane) {
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    auto other = of_lane(x, [&](uint32_t word) { return __shfl_up_sync(~0u, word, step); });
    if (lane >= step) x = F::merge(other, x);
  }
  return x;
}

template <typename Total>
MLX_FN Total from_lane(Total x, int lane) {
  return of_lane(x, [&](uint32_t word) { return __shfl_sync(~0u, word, lane); });
}

/** The first of `width` neighbours in memory that are the values from `i` on. */
template <int width>
MLX_FN int64_t pack_place(const ScanCall& p, int64_t i) {
  return p.backward ? p.length - i - width : i;
}

/** A pack of neighbours in running order from one in memory order, and back. */
template <typename P>
MLX_FN P turned(const ScanCall& p, P pack) {
  constexpr int width = sizeof(pack.at) / sizeof(pack.at[0]);
  P result = pack;
  if (p.backward) {
#pragma unroll
    for (int k = 0; k < width; k++) result.at[k] = pack.at[width - 1 - k];
  }
  return result;
}

constexpr int scan_warps = 32 / row_strips;

/** Results for a pack, from `running` on. */
template <typename F, typename T, int width>
MLX_FN Pack<T, width> scan_pack(const ScanCall& p, typename F::Total running, Pack<T, width> pack) {
  Pack<T, width> results;
#pragma unroll
  for (int k = 0; k < width; k++) {
    T value = from_stored<T>(pack.at[k]);
    results.at[k] = static_cast<Stored<T>>(advance<F, T>(p, running, value));
  }
  return results;
}

/** The strips of the warps of a block, each up to and including itself: lane `strip * scan_warps +
 *  warp` gets it. `sums` are the strips' own running sums over the lanes. */
template <typename F>
MLX_FN typename F::Total scan_block_strips(const typename F::Total (&sums)[row_strips],
                                           typename F::Total* shared) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
  for (int s = 0; s < row_strips; s++) {
    if (lane == 31) shared[s * scan_warps + warp] = sums[s];
  }
  __syncthreads();
  return scan_lanes<F>(shared[lane], lane);
}

/** Rows of neighbours, `lanes` threads each: 32, or all of the block, which is one chunk. */
template <typename F, typename T, int width, int lanes>
MLX_FN void scan_rows(const ScanCall& p) {
  using Total = typename F::Total;
  constexpr bool by_block = lanes > 32;
  __shared__ Total shared[by_block ? scan_threads : 1];
  __shared__ Total of_warps[2][32];
  int lane = threadIdx.x % 32, thread = threadIdx.x % lanes, warp = threadIdx.x / 32;
  int64_t task = static_cast<int64_t>(blockIdx.x) * (scan_threads / lanes) + threadIdx.x / lanes;
  int64_t row = task / p.chunks, chunk = task % p.chunks;
  if (row >= p.rows) return;
  int64_t begin = chunk * p.chunk_length;
  int64_t end = begin + p.chunk_length < p.length ? begin + p.chunk_length : p.length;
  const T* in = static_cast<const T*>(p.in) + row * p.length;
  T* out = static_cast<T*>(p.out) + row * p.length;
  Total carry = F::start();
  if constexpr (by_block) {
    if (chunk > 0) {
      carry = chunks_before<F>(p, chunk, row, p.rows, thread, lanes);
      carry = merge_lanes<F, lanes>(carry, shared);
    }
  }
  bool odd = false;
  for (int64_t base = begin; base < end; base += row_strips * lanes * width, odd = !odd) {
    Pack<T, width> packs[row_strips];
    Total sums[row_strips];
#pragma unroll
    for (int s = 0; s < row_strips; s++) {
      int64_t i = base + (s * lanes + thread) * width;
      if (i < end) packs[s] = turned(p, load_pack<T, width>(in, pack_place<width>(p, i)));
    }
#pragma unroll
    for (int s = 0; s < row_strips; s++) {
      sums[s] = F::start();
      if (base + (s * lanes + thread) * width < end) {
#pragma unroll
        for (int k = 0; k < width; k++) F::add(sums[s], from_stored<T>(packs[s].at[k]), 0);
      }
      sums[s] = scan_lanes<F>(sums[s], lane);
    }
    Total strips = F::start();
    if constexpr (by_block) strips = scan_block_strips<F>(sums, of_warps[odd]);
#pragma unroll
    for (int s = 0; s < row_strips; s++) {
      int at = s * scan_warps + warp;
      Total running = carry;
      if constexpr (by_block) {
        Total before = from_lane(strips, at > 0 ? at - 1 : 0);
        if (at > 0) running = F::merge(running, before);
      }
      Total earlier = of_lane(sums[s], [](uint32_t word) { return __shfl_up_sync(~0u, word, 1); });
      if constexpr (!by_block) carry = F::merge(carry, from_lane(sums[s], 31));
      if (lane > 0) running = F::merge(running, earlier);
      int64_t i = base + (s * lanes + thread) * width;
      if (i >= end) continue;
      auto results = scan_pack<F, T, width>(p, running, packs[s]);
      store_pack<T, width>(out, pack_place<width>(p, i), turned(p, results));
    }
    if constexpr (by_block) carry = F::merge(carry, from_lane(strips, 31));
  }
}

/** The totals of the chunks of rows, one block each. */
template <typename F, typename T, int width>
MLX_FN void total_rows(const ScanCall& p) {
  using Total = typename F::Total;
  __shared__ Total shared[scan_threads];
  int64_t row = blockIdx.x / p.chunks, chunk = blockIdx.x % p.chunks;
  int64_t begin = chunk * p.chunk_length;
  int64_t end = begin + p.chunk_length < p.length ? begin + p.chunk_length : p.length;
  const T* in = static_cast<const T*>(p.in) + row * p.length;
  Total total = F::start();
#pragma unroll 4
  for (int64_t i = begin + threadIdx.x * width; i < end; i += scan_threads * width) {
    auto pack = load_pack<T, width>(in, pack_place<width>(p, i));
#pragma unroll
    for (int k = 0; k < width; k++) F::add(total, from_stored<T>(pack.at[k]), 0);
  }
  total = merge_lanes<F, scan_threads>(total, shared);
  if (threadIdx.x == 0) static_cast<Total*>(p.totals)[chunk * p.rows + row] = total;
}

}  // namespace mlx::core::kernels
