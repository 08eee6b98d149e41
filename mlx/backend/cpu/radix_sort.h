// Stable sorting of keys, alone or with positions: insertion sort for short runs, byte-wise radix
// sort from the least significant byte for the rest, and merging for what several threads sorted.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

/** A key that remembers where it came from. */
template <typename Key>
struct KeyAt {
  Key key;
  uint32_t position;
};

template <typename Key>
Key key_of(Key key) {
  return key;
}
template <typename Key>
Key key_of(const KeyAt<Key>& item) {
  return item.key;
}

template <typename Item>
void insertion_sort(Item* items, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    Item item = items[i];
    int64_t j = i;
    for (; j > 0 && key_of(items[j - 1]) > key_of(item); j--) items[j] = items[j - 1];
    items[j] = item;
  }
}

/** Sorts `items`, with `scratch` of the same size. */
template <typename Item>
void radix_sort(Item* items, Item* scratch, int64_t n) {
  constexpr int64_t insertion_limit = 40;
  constexpr int digits = sizeof(key_of(Item{}));
  if (n <= insertion_limit) {
    insertion_sort(items, n);
    return;
  }
  uint32_t counts[digits][256] = {};
  for (int64_t i = 0; i < n; i++) {
    auto key = key_of(items[i]);
    for (int d = 0; d < digits; d++) counts[d][(key >> (8 * d)) & 0xff]++;
  }
  Item *from = items, *to = scratch;
  for (int d = 0; d < digits; d++) {
    auto* count = counts[d];
    if (count[(key_of(items[0]) >> (8 * d)) & 0xff] == static_cast<uint64_t>(n)) {
      continue;  // all the same here
    }
    uint32_t start = 0;
    for (int b = 0; b < 256; b++) {
      uint32_t size = count[b];
      count[b] = start;
      start += size;
    }
    for (int64_t i = 0; i < n; i++) {
      to[count[(key_of(from[i]) >> (8 * d)) & 0xff]++] = from[i];
    }
    std::swap(from, to);
  }
  if (from != items) {
    std::memcpy(static_cast<void*>(items), from, n * sizeof(Item));
  }
}

/** How many of the first k merged items come from `a`, ties from `a` first. */
template <typename Item>
int64_t merge_split(const Item* a, int64_t na, const Item* b, int64_t nb, int64_t k) {
  int64_t low = std::max<int64_t>(0, k - nb), high = std::min(k, na);
  while (low < high) {
    int64_t i = low + (high - low) / 2;
    if (key_of(a[i]) <= key_of(b[k - i - 1])) {
      low = i + 1;
    } else {
      high = i;
    }
  }
  return low;
}

template <typename Item>
void merge_runs(const Item* a, const Item* a_end, const Item* b, const Item* b_end, Item* out) {
  while (a < a_end && b < b_end) {
    bool from_b = key_of(*b) < key_of(*a);
    *out++ = from_b ? *b : *a;
    b += from_b;
    a += !from_b;
  }
  out = std::copy(a, a_end, out);
  std::copy(b, b_end, out);
}

/** Sorts one long run with all threads. */
template <typename Item>
void parallel_sort(Item* items, Item* scratch, int64_t n) {
  constexpr int64_t least_run = 1 << 16;
  int64_t runs = 1;
  while (runs < num_threads() && runs < 64 && n / (2 * runs) >= least_run) runs *= 2;
  auto start = [&](int64_t run) { return n * run / runs; };
  parallel_for(runs, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      radix_sort(items + start(r), scratch + start(r), start(r + 1) - start(r));
    }
  });
  Item *from = items, *to = scratch;
  for (int64_t width = 1; width < runs; width *= 2) {
    int64_t parts = 2 * width;  // threads' shares of each pair
    parallel_for(runs, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        int64_t first = i / parts * parts, part = i % parts;
        const Item *a = from + start(first), *b = from + start(first + width);
        int64_t na = b - a, nb = start(first + parts) - start(first + width);
        int64_t k0 = (na + nb) * part / parts, k1 = (na + nb) * (part + 1) / parts;
        int64_t i0 = merge_split(a, na, b, nb, k0), i1 = merge_split(a, na, b, nb, k1);
        merge_runs(a + i0, a + i1, b + (k0 - i0), b + (k1 - i1), to + start(first) + k0);
      }
    });
    std::swap(from, to);
  }
  if (from != items) {
    std::memcpy(static_cast<void*>(items), from, n * sizeof(Item));
  }
}

}  // namespace mlx::core::cpu
