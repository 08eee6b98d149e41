// Binary search and distinct values on the CPU, by keys.
#include <algorithm>
#include <vector>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/sort_rows.h"
#include "mlx/primitives/sort.h"

namespace mlx::core::cpu {

namespace {

template <typename Key>
std::vector<Key> keys_of(const array& a) {
  std::vector<Key> keys(a.size());
  auto to_order = sort_key_table().to_order[static_cast<int>(a.dtype().val())];
  to_order(a.data<void>(), keys.data(), static_cast<int64_t>(a.size()));
  return keys;
}

/** Number of keys before `key`, or up to and including it. */
template <typename Key>
uint32_t rank(const std::vector<Key>& keys, Key key, bool right) {
  const Key* base = keys.data();
  size_t n = keys.size();
  while (n > 0) {
    size_t half = n / 2;
    bool behind = right ? base[half] <= key : base[half] < key;
    base = behind ? base + half + 1 : base;
    n = behind ? n - half - 1 : half;
  }
  return static_cast<uint32_t>(base - keys.data());
}

template <typename Key>
void find_unique(const array& in, int64_t size, std::vector<array>& outputs) {
  auto n = static_cast<int64_t>(in.size());
  SortBuffers<KeyAt<Key>> buffers(n);
  auto* items = buffers.items();
  load_items(in.dtype(), in.data<void>(), n, items);
  parallel_sort(items, buffers.scratch(), n);
  bool has_nan = issubdtype(in.dtype(), inexact);
  auto* position = outputs[0].data<uint32_t>();
  auto* inverse = outputs[1].data<uint32_t>();
  auto* counts = outputs[2].data<int32_t>();
  std::fill(counts, counts + size, 0);
  int64_t number = -1;
  for (int64_t i = 0; i < n; i++) {
    Key key = items[i].key;
    bool is_nan = has_nan && key == static_cast<Key>(~Key(0));
    if (i == 0 || is_nan || key != items[i - 1].key) {
      number++;
      if (number < size) position[number] = items[i].position;
    }
    if (number < size) counts[number]++;
    inverse[items[i].position] =
        static_cast<uint32_t>(std::max<int64_t>(0, std::min(number, size - 1)));
  }
  for (int64_t k = number + 1; k < size; k++) position[k] = items[0].position;
}

void eval_search_sorted(SearchSorted& primitive, const std::vector<array>& inputs,
                        std::vector<array>& outputs) {
  array sequence = contiguous(inputs[0]), values = contiguous(inputs[1]);
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  dispatch_key(values.dtype(), [&](auto tag) {
    using Key = decltype(tag);
    auto sorted = keys_of<Key>(sequence), wanted = keys_of<Key>(values);
    parallel_for(static_cast<int64_t>(out.size()), 1 << 11, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        out.data<uint32_t>()[i] = rank(sorted, wanted[i], primitive.right());
      }
    });
  });
}

void eval_unique(Unique& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array in = contiguous(inputs[0]);
  for (auto& out : outputs) {
    out.set_data(allocator::malloc(out.nbytes()));
  }
  if (in.size() == 0) {
    std::fill_n(outputs[0].data<uint32_t>(), primitive.size(), 0u);
    std::fill_n(outputs[2].data<int32_t>(), primitive.size(), 0);
    return;
  }
  dispatch_key(in.dtype(),
               [&](auto key) { find_unique<decltype(key)>(in, primitive.size(), outputs); });
}

const Register<SearchSorted> search_sorted(eval_search_sorted);
const Register<Unique> unique(eval_unique);

}  // namespace

}  // namespace mlx::core::cpu
