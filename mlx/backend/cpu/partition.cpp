// Partition on the CPU. When few elements lie on one side of the kth, one vectorised pass with a
// rising threshold finds them, and everything else keeps its order; otherwise quickselect.
#include <algorithm>
#include <numeric>
#include <vector>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/sort_rows.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/sort.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t key_tile = 1024;

/** The `count` greatest of n values (least if `flip` is ~0) as key << 32 | position, ascending. */
std::vector<uint64_t> extremes(Dtype dtype, const char* values, int64_t n, int64_t count,
                               uint32_t flip) {
  auto to_keys = sort_key_table().to_wide_order[static_cast<int>(dtype.val())];
  auto collect = sort_key_table().collect;
  int64_t capacity = std::max<int64_t>(4 * count, 512);
  std::vector<uint64_t> best(capacity + key_tile + 1);
  auto keep_best = [&](int64_t size) {
    std::nth_element(best.begin(), best.begin() + (count - 1), best.begin() + size,
                     std::greater<>());
    return std::min(size, count);
  };
  uint32_t keys[key_tile];
  uint32_t threshold = 0;
  int64_t size = 0;
  for (int64_t b = 0; b < n; b += key_tile) {
    int64_t tile = std::min(key_tile, n - b);
    to_keys(values + b * dtype.size(), keys, tile);
    if (size < count || threshold == 0) {  // the least key is no key above 0
      for (int64_t i = 0; i < tile; i++) {
        best[size++] = uint64_t(keys[i] ^ flip) << 32 | static_cast<uint32_t>(b + i);
      }
    } else {
      size +=
          collect(keys, tile, flip, threshold - 1, static_cast<uint32_t>(b), best.data() + size);
    }
    if (size >= capacity) {
      size = keep_best(size);
      threshold = static_cast<uint32_t>(best[count - 1] >> 32);
    }
  }
  keep_best(size);
  best.resize(count);
  std::sort(best.begin(), best.end());
  return best;
}

/** Positions [0, n) but for `taken` (ascending), in order. */
void write_others(const std::vector<uint32_t>& taken, int64_t n, uint32_t* out) {
  uint32_t next = 0;
  for (size_t k = 0; k <= taken.size(); k++) {
    uint32_t end = k < taken.size() ? taken[k] : static_cast<uint32_t>(n);
    uint32_t count = end - next;
    for (uint32_t i = 0; i < count; i++) out[i] = next + i;
    out += count;
    next = end + 1;
  }
}

void select_few(Dtype dtype, const char* values, int64_t n, int64_t kth, uint32_t* out) {
  bool greatest = n - kth <= kth + 1;
  int64_t count = greatest ? n - kth : kth + 1;
  auto best = extremes(dtype, values, n, count, greatest ? 0u : ~0u);
  std::vector<uint32_t> taken(count);
  for (int64_t i = 0; i < count; i++) taken[i] = static_cast<uint32_t>(best[i]);
  uint32_t* place = greatest ? out + kth : out;
  std::copy(taken.begin(), taken.end(), place);
  if (!greatest) {
    std::reverse(place, place + count);
  }
  std::sort(taken.begin(), taken.end());
  write_others(taken, n, greatest ? out : out + count);
}

template <typename Key>
void quickselect(Dtype dtype, const void* values, int64_t n, int64_t kth, uint32_t* out) {
  std::vector<KeyAt<Key>> items(n);
  load_items(dtype, values, n, items.data());
  std::nth_element(items.begin(), items.begin() + kth, items.end(),
                   [](const auto& a, const auto& b) {
                     return a.key < b.key || (a.key == b.key && a.position < b.position);
                   });
  for (int64_t i = 0; i < n; i++) out[i] = items[i].position;
}

void partition_row(Dtype dtype, const char* values, int64_t n, int64_t kth, uint32_t* out) {
  int64_t few = std::min(n - kth, kth + 1);
  if (dtype.size() <= 4 && few <= n / 16) {
    select_few(dtype, values, n, kth, out);
  } else {
    dispatch_key(dtype, [&](auto key) { quickselect<decltype(key)>(dtype, values, n, kth, out); });
  }
}

void eval_partition(Partition& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  array in = contiguous(inputs[0]);
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  int64_t n = in.shape(-1), rows = static_cast<int64_t>(in.size()) / n;
  int64_t itemsize = in.itemsize();
  parallel_for(rows, std::max<int64_t>(1, (1 << 12) / n), [&](int64_t begin, int64_t end) {
    std::vector<uint32_t> order(primitive.positions() ? 0 : n);
    for (int64_t row = begin; row < end; row++) {
      const char* from = in.data<char>() + row * n * itemsize;
      if (primitive.positions()) {
        partition_row(in.dtype(), from, n, primitive.kth(), out.data<uint32_t>() + row * n);
        continue;
      }
      partition_row(in.dtype(), from, n, primitive.kth(), order.data());
      dispatch_word(itemsize, [&](auto value) {
        using Value = decltype(value);
        auto* to = out.data<Value>() + row * n;
        auto* values = reinterpret_cast<const Value*>(from);
        for (int64_t i = 0; i < n; i++) to[i] = values[order[i]];
      });
    }
  });
}

const Register<Partition> partition(eval_partition);

}  // namespace

}  // namespace mlx::core::cpu
