// Rows of keys and the buffers to sort them in, for the primitives that need an order.
#pragma once

#include <algorithm>
#include <memory>

#include "mlx/array.h"
#include "mlx/backend/cpu/radix_sort.h"
#include "mlx/backend/cpu/sort_keys.h"

namespace mlx::core::cpu {

/** Two buffers of n items each. */
template <typename Item>
class SortBuffers {
 public:
  explicit SortBuffers(int64_t n) : memory_(new Item[2 * n]), n_(n) {}
  Item* items() { return memory_.get(); }
  Item* scratch() { return memory_.get() + n_; }

 private:
  std::unique_ptr<Item[]> memory_;
  int64_t n_;
};

/** Keys with positions of n contiguous values. */
template <typename Key>
void load_items(Dtype dtype, const void* values, int64_t n, KeyAt<Key>* items) {
  constexpr int64_t tile = 1024;
  Key keys[tile];
  auto to_order = sort_key_table().to_order[static_cast<int>(dtype.val())];
  for (int64_t b = 0; b < n; b += tile) {
    int64_t count = std::min(tile, n - b);
    to_order(static_cast<const char*>(values) + b * sizeof(Key), keys, count);
    for (int64_t i = 0; i < count; i++) items[b + i] = {keys[i], static_cast<uint32_t>(b + i)};
  }
}

/**
 * Calls work(row, sort) for every row of n elements, spread over threads; a few long rows run one
 * by one and sort with all threads. `sort(items, scratch, n)` is the way to sort there.
 */
template <typename Item, typename Work>
void for_each_row(int64_t rows, int64_t n, Work work) {
  constexpr int64_t long_row = 1 << 18, grain_elements = 1 << 12;
  if (n >= long_row && rows < 2 * num_threads()) {
    SortBuffers<Item> buffers(n);
    for (int64_t row = 0; row < rows; row++) work(row, buffers, parallel_sort<Item>);
    return;
  }
  parallel_for(rows, std::max<int64_t>(1, grain_elements / n), [&](int64_t begin, int64_t end) {
    SortBuffers<Item> buffers(n);
    for (int64_t row = begin; row < end; row++) work(row, buffers, radix_sort<Item>);
  });
}

}  // namespace mlx::core::cpu
