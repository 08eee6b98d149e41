// Pooling kernels: window by window, all channels of it.
#include "mlx/backend/cpu/pool_kernels.h"

#include <type_traits>

#include "mlx/backend/cpu/gemm/take.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

using E = Element<float>;

// Calls f(whole, offset of the window's input, offset of its output, channels) for each window's
// vectors of channels.
template <typename F>
static inline void for_vectors(const PoolRow& row, F&& f) {
  constexpr int lanes = kLanes<float>;
  for (int64_t w = 0; w < row.windows; ++w) {
    int64_t in = w * row.step, out = w * row.channels, c = 0;
    for (; c + lanes <= row.channels; c += lanes) f(std::true_type{}, in + c, out + c, lanes);
    if (c < row.channels) {
      f(std::false_type{}, in + c, out + c, static_cast<int>(row.channels - c));
    }
  }
}

static void max_row(const PoolRow& row, float* out) {
  for_vectors(row, [&]<bool Full>(std::bool_constant<Full>, int64_t in, int64_t at, int n) {
    Vec<float> best = take<E, Full>(row.inputs[0] + in, n);
    for (int64_t t = 1; t < row.taps; ++t) {
      Vec<float> x = take<E, Full>(row.inputs[t] + in, n);
      best = (x > best) | (x != x) ? x : best;  // what is no number stays
    }
    put<E, Full>(out + at, best, n);
  });
}

static void mean_row(const PoolRow& row, float* out) {
  for_vectors(row, [&]<bool Full>(std::bool_constant<Full>, int64_t in, int64_t at, int n) {
    Vec<float> sum = {};
    for (int64_t t = 0; t < row.taps; ++t) sum += take<E, Full>(row.inputs[t] + in, n);
    put<E, Full>(out + at, sum * splat(row.scale), n);
  });
}

static void max_gradient_row(const PoolRow& row, const float* out, const float* cotangent,
                             float* const* gradients) {
  for_vectors(row, [&]<bool Full>(std::bool_constant<Full>, int64_t in, int64_t at, int n) {
    const Vec<float> one = splat(1.0f), none = {};
    Vec<float> best = take<E, Full>(out + at, n), count = {};
    for (int64_t t = 0; t < row.taps; ++t) {
      count += take<E, Full>(row.inputs[t] + in, n) == best ? one : none;
    }
    Vec<float> factor = take<E, Full>(cotangent + at, n);
    for (int64_t t = 0; t < row.taps; ++t) {
      if (!gradients[t]) continue;
      Vec<float> share = (take<E, Full>(row.inputs[t] + in, n) == best ? one : none) / count;
      float* to = gradients[t] + in;
      put<E, Full>(to, take<E, Full>(to, n) + share * factor, n);
    }
  });
}

static void mean_gradient_row(const PoolRow& row, const float* cotangent, float* const* gradients) {
  for_vectors(row, [&]<bool Full>(std::bool_constant<Full>, int64_t in, int64_t at, int n) {
    Vec<float> share = take<E, Full>(cotangent + at, n) * splat(row.scale);
    for (int64_t t = 0; t < row.taps; ++t) {
      if (!gradients[t]) continue;
      float* to = gradients[t] + in;
      put<E, Full>(to, take<E, Full>(to, n) + share, n);
    }
  });
}

}  // namespace simd

const PoolKernels& pool_kernels() {
  using namespace simd;
  static constexpr PoolKernels kernels = {max_row, mean_row, max_gradient_row, mean_gradient_row};
  return kernels;
}

}  // namespace mlx::core::cpu::MLX_ISA
