// Counting.
#include "mlx/primitives/arange.h"

#include "mlx/backend/cpu/registry.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kElementsPerTask = 1 << 15;

// As an integer, saturating, so that no value is undefined.
int64_t truncated(double x) {
  return x >= 0x1p63 ? INT64_MAX : x >= -0x1p63 ? static_cast<int64_t>(x) : INT64_MIN;
}

template <typename T>
void count(T* out, double start, double step, int64_t begin, int64_t end) {
  if constexpr (std::is_integral_v<T>) {
    uint64_t first = truncated(start), by = truncated(step);
    for (int64_t i = begin; i < end; i++) {
      out[i] = static_cast<T>(first + static_cast<uint64_t>(i) * by);
    }
  } else {
    for (int64_t i = begin; i < end; i++) {
      double value = start + static_cast<double>(i) * step;
      if constexpr (std::is_same_v<T, double>) {
        out[i] = value;
      } else {
        out[i] = static_cast<T>(static_cast<float>(value));
      }
    }
  }
}

void eval_arange(Arange& primitive, const std::vector<array>&, std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  dispatch_dtype(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* data = out.data<T>();
    parallel_for(static_cast<int64_t>(out.size()), kElementsPerTask,
                 [&](int64_t begin, int64_t end) {
                   count(data, primitive.start(), primitive.step(), begin, end);
                 });
  });
}

const Register<Arange> arange(eval_arange);

}  // namespace

}  // namespace mlx::core::cpu
