// Binary search in a sorted sequence, and what distinct values are made of once they are sorted.
#pragma once

#include "mlx/backend/cuda/kernels/order.h"
#include "mlx/backend/cuda/kernels/search_call.h"
#include "mlx/backend/cuda/kernels/walk.h"

namespace mlx::core::kernels {

template <typename T>
MLX_FN void search_sorted(const Search& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.count) return;
  auto key = load_key<T, true>(p.values, i);
  int64_t low = 0, high = p.length;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    auto other = load_key<T, true>(p.sequence, middle);
    if (p.right ? other <= key : other < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  p.out[i] = static_cast<uint32_t>(low);
}

/** numbers = 1 where a distinct value begins, else 0. Every NaN is one of its own. */
template <typename T>
MLX_FN void mark_first(const Distinct& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.count) return;
  auto* keys = static_cast<const KeyOf<T>*>(p.keys);
  bool nan = !is_integer<T> && keys[i] == static_cast<KeyOf<T>>(~KeyOf<T>(0));
  p.numbers[i] = i == 0 || nan || keys[i] != keys[i - 1];
}

MLX_FN void number_elements(const Distinct& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.count) return;
  int64_t number = static_cast<int64_t>(p.numbers[i]) - 1;
  bool first = i == 0 || p.numbers[i - 1] <= number;
  if (first && number <= p.size) p.starts[number] = static_cast<uint32_t>(i);
  if (first && number < p.size) p.positions[number] = p.places[i];
  int64_t slot = number < p.size ? number : p.size - 1;
  p.inverse[p.places[i]] = static_cast<uint32_t>(slot < 0 ? 0 : slot);
}

MLX_FN void count_elements(const Distinct& p) {
  int64_t k = thread_number<int64_t>();
  if (k >= p.size) return;
  int64_t distinct = p.numbers[p.count - 1];
  if (k >= distinct) {
    p.positions[k] = p.places[0];
    p.counts[k] = 0;
  } else {
    int64_t end = k + 1 < distinct ? p.starts[k + 1] : p.count;
    p.counts[k] = static_cast<int32_t>(end - p.starts[k]);
  }
}

}  // namespace mlx::core::kernels
