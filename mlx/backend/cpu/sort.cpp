// Sort on the CPU: values as keys, or keys with positions.
#include "mlx/primitives/sort.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/sort_rows.h"
#include "mlx/core/errors.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

namespace {

template <typename Key>
void sort_values(const array& in, array& out, int64_t n) {
  int dtype = static_cast<int>(in.dtype().val());
  auto to_keys = sort_key_table().to_keys[dtype];
  auto from_keys = sort_key_table().from_keys[dtype];
  int64_t rows = static_cast<int64_t>(in.size()) / n;
  for_each_row<Key>(rows, n, [&](int64_t row, auto& buffers, auto sort) {
    to_keys(in.data<Key>() + row * n, buffers.items(), n);
    sort(buffers.items(), buffers.scratch(), n);
    from_keys(buffers.items(), out.data<Key>() + row * n, n);
  });
}

/** Sorted positions of every row; calls store(row, items). */
template <typename Key, typename Store>
void sort_positions(const array& in, int64_t n, Store store) {
  int64_t rows = static_cast<int64_t>(in.size()) / n;
  for_each_row<KeyAt<Key>>(rows, n, [&](int64_t row, auto& buffers, auto sort) {
    load_items(in.dtype(), in.data<Key>() + row * n, n, buffers.items());
    sort(buffers.items(), buffers.scratch(), n);
    store(row, buffers.items());
  });
}

void eval_sort(Sort& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array in = contiguous(inputs[0]);
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  int64_t n = in.shape(-1);
  if (primitive.positions()) {
    dispatch_key(in.dtype(), [&](auto key) {
      sort_positions<decltype(key)>(in, n, [&](int64_t row, const auto* items) {
        auto* to = out.data<uint32_t>() + row * n;
        for (int64_t i = 0; i < n; i++) to[i] = items[i].position;
      });
    });
  } else if (is_complex_dtype(in.dtype())) {  // keys lose parts beside a NaN
    dispatch_key(in.dtype(), [&](auto key) {
      using Key = decltype(key);
      sort_positions<Key>(in, n, [&](int64_t row, const auto* items) {
        dispatch_word(in.dtype().size(), [&](auto word) {
          auto* from = in.data<decltype(word)>() + row * n;
          auto* to = out.data<decltype(word)>() + row * n;
          for (int64_t i = 0; i < n; i++) to[i] = from[items[i].position];
        });
      });
    });
  } else {
    dispatch_key(in.dtype(), [&](auto key) { sort_values<decltype(key)>(in, out, n); });
  }
}

const Register<Sort> sort(eval_sort);

}  // namespace

}  // namespace mlx::core::cpu
