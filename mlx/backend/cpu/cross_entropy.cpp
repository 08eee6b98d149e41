// Cross-entropy on the CPU: rows over threads, each row once from memory in tiles.
#include "mlx/primitives/cross_entropy.h"

#include <algorithm>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/cross_entropy_kernels.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t grain_elements = 1 << 14;

template <typename T>
const CrossEntropyKernel<T>& kernel_for() {
  if constexpr (std::is_same_v<T, double>) {
    return cross_entropy_table().f64;
  } else {
    return cross_entropy_table().f32;
  }
}

/** Logits or their gradients by row and first column, a tile at a time, in the compute type. */
template <typename T>
class Tiles {
 public:
  explicit Tiles(const array& a)
      : load_(tile_load(a.dtype())),
        store_(tile_store(a.dtype())),
        direct_(a.dtype() == stored_dtype<T>),
        data_(const_cast<array&>(a).data<char>()),
        n_(a.shape(-1)),
        itemsize_(static_cast<int64_t>(a.itemsize())) {}

  const T* get(int64_t row, int64_t column, int64_t count, T* buffer) const {
    if (direct_) return reinterpret_cast<const T*>(at(row, column));
    load_(at(row, column), 1, buffer, 1, count);
    return buffer;
  }
  T* target(int64_t row, int64_t column, T* buffer) const {
    return direct_ ? reinterpret_cast<T*>(at(row, column)) : buffer;
  }
  void put(int64_t row, int64_t column, int64_t count, const T* values) const {
    if (!direct_) store_(values, 1, at(row, column), 1, count);
  }

 private:
  char* at(int64_t row, int64_t column) const { return data_ + (row * n_ + column) * itemsize_; }

  TileCopy load_, store_;
  bool direct_;
  char* data_;
  int64_t n_, itemsize_;
};

/** Class of a row; negative or past the classes where it is none. */
int64_t target_of(const array& targets, int64_t row) {
  if (targets.dtype() == int64) return targets.data<int64_t>()[row];
  if (targets.dtype() == uint32) return targets.data<uint32_t>()[row];
  return targets.data<int32_t>()[row];
}

template <typename T>
void run_forward(const array& logits, const array& targets, array& losses, array& statistics) {
  int64_t n = logits.shape(-1), rows = static_cast<int64_t>(targets.size());
  Tiles<T> x(logits);
  const auto& kernel = kernel_for<T>();
  parallel_for(rows, std::max<int64_t>(1, grain_elements / n), [&](int64_t begin, int64_t end) {
    T buffer[tile_size];
    for (int64_t row = begin; row < end; row++) {
      int64_t target = target_of(targets, row);
      T score = 0;
      auto sum = kernel.start();
      for (int64_t first = 0; first < n; first += tile_size) {
        int64_t count = std::min(tile_size, n - first);
        const T* tile = x.get(row, first, count, buffer);
        kernel.add(tile, count, &sum);
        if (target >= first && target < first + count) score = tile[target - first];
      }
      T* parts = statistics.data<T>() + 2 * row;
      kernel.finish(sum, parts);
      losses.data<T>()[row] = parts[0] - score + parts[1];
    }
  });
}

template <typename T>
void run_backward(const array& logits, const array& cotangent, const array& targets,
                  const array& statistics, array& out) {
  int64_t n = logits.shape(-1), rows = static_cast<int64_t>(targets.size());
  Tiles<T> x(logits), grad(out);
  const auto& kernel = kernel_for<T>();
  parallel_for(rows, std::max<int64_t>(1, grain_elements / n), [&](int64_t begin, int64_t end) {
    T buffer[tile_size];
    for (int64_t row = begin; row < end; row++) {
      int64_t target = target_of(targets, row);
      const T* parts = statistics.data<T>() + 2 * row;
      T factor = cotangent.data<T>()[row];
      for (int64_t first = 0; first < n; first += tile_size) {
        int64_t count = std::min(tile_size, n - first);
        const T* tile = x.get(row, first, count, buffer);
        T* to = grad.target(row, first, buffer);
        kernel.gradient(tile, parts, factor, to, count);
        if (target >= first && target < first + count) to[target - first] -= factor;
        grad.put(row, first, count, to);
      }
    }
  });
}

void eval_cross_entropy(CrossEntropy&, const std::vector<array>& inputs,
                        std::vector<array>& outputs) {
  for (auto& out : outputs) {
    out.set_data(allocator::malloc(out.nbytes()));
  }
  array logits = contiguous(inputs[0]), targets = contiguous(inputs[1]);
  if (logits.dtype() == float64) {
    run_forward<double>(logits, targets, outputs[0], outputs[1]);
  } else {
    run_forward<float>(logits, targets, outputs[0], outputs[1]);
  }
}

void eval_cross_entropy_backward(CrossEntropyBackward&, const std::vector<array>& inputs,
                                 std::vector<array>& outputs) {
  array& out = outputs[0];
  if (inputs[0].flags().row_contiguous && can_donate(inputs[0], out)) {
    out.copy_shared_buffer(inputs[0]);
  } else {
    out.set_data(allocator::malloc(out.nbytes()));
  }
  array logits = contiguous(inputs[0]), cotangent = contiguous(inputs[1]);
  array targets = contiguous(inputs[2]), statistics = contiguous(inputs[3]);
  if (logits.dtype() == float64) {
    run_backward<double>(logits, cotangent, targets, statistics, out);
  } else {
    run_backward<float>(logits, cotangent, targets, statistics, out);
  }
}

const Register<CrossEntropy> cross_entropy(eval_cross_entropy);
const Register<CrossEntropyBackward> cross_entropy_backward(eval_cross_entropy_backward);

}  // namespace

}  // namespace mlx::core::cpu
