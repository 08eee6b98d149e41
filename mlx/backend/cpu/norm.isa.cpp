// Norms of a row that stays in cache: statistics first, then one pass that writes.
#include "mlx/backend/cpu/norm_kernels.h"

#include "mlx/backend/cpu/reduce_fold.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

template <typename T>
void add(const T* a, const T* b, T* out, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

template <typename T>
struct RowStatistics {
  T mean, inverse;
};

template <typename T>
RowStatistics<T> statistics(const T* x, int64_t n, T eps, bool centre) {
  T mean = centre ? fold_values<SumOp>(x, n) / static_cast<T>(n) : T(0);
  T squares = map_sum<T>(n, [=](int64_t i) { return (x[i] - mean) * (x[i] - mean); });
  return {mean, T(1) / sqrt(squares / static_cast<T>(n) + eps)};
}

template <typename T>
void forward(const T* x, const T* weight, const T* bias, T* out, int64_t n, T eps, bool centre) {
  auto [mean, inverse] = statistics(x, n, eps, centre);
  if (weight && bias) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) out[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
  } else if (weight) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) out[i] = (x[i] - mean) * inverse * weight[i];
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) out[i] = (x[i] - mean) * inverse;
    for (int64_t i = 0; bias && i < n; i++) out[i] += bias[i];
  }
}

template <typename T>
void backward(const T* x, const T* weight, const T* cotangent, T* grad, T* weight_grad,
              T* bias_grad, int64_t n, T eps, bool centre) {
  auto [mean, inverse] = statistics(x, n, eps, centre);
  if (weight_grad) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) weight_grad[i] += cotangent[i] * ((x[i] - mean) * inverse);
  }
  if (bias_grad) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) bias_grad[i] += cotangent[i];
  }
  const T* g = cotangent;
  if (weight) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) grad[i] = cotangent[i] * weight[i];
    g = grad;
  }
  T count = static_cast<T>(n);
  T along = map_sum<T>(n, [=](int64_t i) { return g[i] * ((x[i] - mean) * inverse); }) / count;
  T shift = centre ? fold_values<SumOp>(g, n) / count : T(0);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) {
    grad[i] = (g[i] - shift - (x[i] - mean) * inverse * along) * inverse;
  }
}

}  // namespace

const NormTable& norm_table() {
  static constexpr NormTable table = {{add<float>, forward<float>, backward<float>},
                                      {add<double>, forward<double>, backward<double>}};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
