// Sorting of rows that fit a block: a bitonic network whose steps run in registers, between the
// lanes of a warp, and through shared memory. Short rows share a block.
#pragma once

#include "mlx/backend/cuda/kernels/order.h"
#include "mlx/backend/cuda/kernels/order_sizes.h"
#include "mlx/backend/cuda/kernels/sort_short_call.h"

namespace mlx::core::kernels {

/** An 8-byte key with its position. */
struct WideItem {
  uint64_t key;
  uint32_t position;
};
MLX_FN bool operator>(const WideItem& a, const WideItem& b) {
  return a.key > b.key || (a.key == b.key && a.position > b.position);
}

/** What is compared and moved. With the position below the key no two items are equal, so the
 *  order is that of a stable sort. */
template <typename T, bool positions>
struct ItemOf {
  static constexpr int position_bits = !positions ? 0 : sizeof(T) <= 2 ? 16 : 32;
  using Word = choose_type<(8 * sizeof(T) + position_bits <= 32), uint32_t, uint64_t>;
  using type = choose_type<positions && sizeof(T) == 8, WideItem, Word>;

  MLX_FN static type make(KeyOf<T> key, uint32_t position) {
    if constexpr (is_same<type, WideItem>) {
      return {key, position};
    } else {
      return static_cast<Word>(key) << position_bits | (positions ? position : 0);
    }
  }
  /** Behind all others. */
  MLX_FN static type last() {
    if constexpr (is_same<type, WideItem>) {
      return {~uint64_t(0), ~0u};
    } else {
      return ~Word(0);
    }
  }
  MLX_FN static uint32_t position(const type& item) {
    if constexpr (is_same<type, WideItem>) {
      return item.position;
    } else {
      return static_cast<uint32_t>(item & ((Word(1) << position_bits) - 1));
    }
  }
};

MLX_FN uint32_t swap_lanes(uint32_t x, int mask) { return __shfl_xor_sync(~0u, x, mask); }
MLX_FN uint64_t swap_lanes(uint64_t x, int mask) { return __shfl_xor_sync(~0u, x, mask); }
MLX_FN WideItem swap_lanes(const WideItem& x, int mask) {
  return {swap_lanes(x.key, mask), swap_lanes(x.position, mask)};
}

/** The lesser of two, or the greater. */
template <typename Item>
MLX_FN Item pick(const Item& a, const Item& b, bool lesser) {
  return (a > b) == lesser ? b : a;
}

/** The steps of one merge between items of one thread: strides `first`, first / 2, ... 1. */
template <int first, typename Item>
MLX_FN void merge_in_thread(Item (&items)[items_per_thread], uint32_t index, uint32_t size) {
#pragma unroll
  for (int stride = first; stride > 0; stride /= 2) {
#pragma unroll
    for (int k = 0; k < items_per_thread; k++) {
      if (k & stride) continue;
      bool up = ((index + k) & size) == 0;
      Item low = items[k], high = items[k + stride];
      bool exchange = (low > high) == up;
      items[k] = exchange ? high : low;
      items[k + stride] = exchange ? low : high;
    }
  }
}

/** Sorts runs of `padded` items; the thread holds those from `index` on of its run. */
template <int threads, typename Item>
MLX_FN void sort_runs(Item (&items)[items_per_thread], Item* shared, uint32_t index,
                      uint32_t padded) {
  merge_in_thread<1>(items, index, 2);
  merge_in_thread<2>(items, index, 4);
  merge_in_thread<4>(items, index, 8);
  for (uint32_t size = 2 * items_per_thread; size <= padded; size *= 2) {
    bool up = (index & size) == 0;
    uint32_t stride = size / 2;
    for (; stride >= 32 * items_per_thread; stride /= 2) {
      __syncthreads();
#pragma unroll
      for (int k = 0; k < items_per_thread; k++) shared[k * threads + threadIdx.x] = items[k];
      __syncthreads();
      bool lesser = ((index & stride) == 0) == up;
      uint32_t other = threadIdx.x ^ (stride / items_per_thread);
#pragma unroll
      for (int k = 0; k < items_per_thread; k++) {
        items[k] = pick(items[k], shared[k * threads + other], lesser);
      }
    }
    for (; stride >= items_per_thread; stride /= 2) {
      bool lesser = ((index & stride) == 0) == up;
#pragma unroll
      for (int k = 0; k < items_per_thread; k++) {
        items[k] = pick(items[k], swap_lanes(items[k], static_cast<int>(stride) / items_per_thread),
                        lesser);
      }
    }
    merge_in_thread<items_per_thread / 2>(items, index, size);
  }
}

/** Item `i` of a block in shared memory, without bank conflicts between neighbouring threads. */
template <typename Item>
MLX_FN uint32_t spread(uint32_t i) {
  return i + i / (128 / sizeof(Item));
}

template <typename T, bool positions, int threads>
MLX_FN void sort_short_rows(const ShortRows& p) {
  constexpr bool tracked = positions || sorts_by_position<T>;
  using Items = ItemOf<T, tracked>;
  using Item = typename Items::type;
  using Key = KeyOf<T>;
  constexpr uint32_t block_items = threads * items_per_thread;
  __shared__ Item shared[block_items + block_items / (128 / sizeof(Item))];
  auto padded = static_cast<uint32_t>(p.padded), length = static_cast<uint32_t>(p.length);
  uint32_t index = threadIdx.x * items_per_thread;
  int64_t first_row = static_cast<int64_t>(blockIdx.x) * (block_items / padded);
  int64_t row = first_row + index / padded;
  uint32_t lanes = padded / items_per_thread;
  const Key* in = static_cast<const Key*>(p.in) + row * p.length;
  Item items[items_per_thread];
#pragma unroll
  for (int k = 0; k < items_per_thread; k++) {
    uint32_t at = threadIdx.x % lanes + k * lanes;  // any order will do
    bool real = at < length && row < p.rows;
    items[k] = real ? Items::make(load_key<T, tracked>(in, at), at) : Items::last();
  }
  sort_runs<threads>(items, shared, index % padded, padded);
  __syncthreads();
#pragma unroll
  for (int k = 0; k < items_per_thread; k++) shared[spread<Item>(index + k)] = items[k];
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < block_items; i += threads) {
    row = first_row + i / padded;
    uint32_t at = i % padded;
    if (at >= length || row >= p.rows) continue;
    const Item& item = shared[spread<Item>(i)];
    int64_t place = row * p.length + at;
    if constexpr (positions) {
      static_cast<uint32_t*>(p.out)[place] = Items::position(item);
    } else if constexpr (sorts_by_position<T>) {
      in = static_cast<const Key*>(p.in) + row * p.length;
      static_cast<Key*>(p.out)[place] = in[Items::position(item)];
    } else {
      static_cast<Key*>(p.out)[place] = bits_of_key<T>(static_cast<Key>(item));
    }
  }
}

}  // namespace mlx::core::kernels
