// Norms of a row that stays in cache: statistics first, then one pass that writes; backward one
// more for the sums.
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

/** What `backward` reads of a row, and the sums that it adds to. */
template <typename T>
struct BackwardRow {
  const T *x, *weight, *cotangent;
  T *weight_grad, *bias_grad;
  RowStatistics<T> of;
};

/** One T or as many as a register holds. */
template <typename V, typename T>
MLX_FN V read(const T* from) {
  V values;
  __builtin_memcpy(&values, from, sizeof(V));
  return values;
}

template <typename V, typename T>
MLX_FN void increase(T* at, V by) {
  V sum = read<V>(at) + by;
  __builtin_memcpy(at, &sum, sizeof(V));
}

/** What the values at i add to the gradients of the parameters, and to the sums of the gradient g
 * of the normalised row: along this row, and of all. */
template <typename V, typename T>
MLX_FN void add_values(const BackwardRow<T>& row, int64_t i, V& along, V& all) {
  V normal = (read<V>(row.x + i) - row.of.mean) * row.of.inverse, g = read<V>(row.cotangent + i);
  if (row.weight_grad) increase<V>(row.weight_grad + i, g * normal);
  if (row.bias_grad) increase<V>(row.bias_grad + i, g);
  if (row.weight) g *= read<V>(row.weight + i);
  along += g * normal;
  all += g;
}

template <typename T>
struct RowSums {
  T along, all;
};

template <typename T>
RowSums<T> add_row(const BackwardRow<T>& row, int64_t n) {
  constexpr int parts = 4;
  constexpr int64_t width = lanes<T>;
  Pack<T> along[parts] = {}, all[parts] = {};
  int64_t i = 0;
  for (; i + parts * width <= n; i += parts * width) {
#pragma GCC unroll 4
    for (int k = 0; k < parts; k++) add_values(row, i + k * width, along[k], all[k]);
  }
  for (; i + width <= n; i += width) add_values(row, i, along[0], all[0]);
  T rest_along = 0, rest_all = 0;
  for (; i < n; i++) add_values(row, i, rest_along, rest_all);
  T values[parts * width];
  __builtin_memcpy(values, along, sizeof(values));
  rest_along += fold_values<SumOp>(values, parts * width);
  __builtin_memcpy(values, all, sizeof(values));
  return {rest_along, rest_all + fold_values<SumOp>(values, parts * width)};
}

template <typename T>
void backward(const T* x, const T* weight, const T* cotangent, T* grad, T* weight_grad,
              T* bias_grad, int64_t n, T eps, bool centre) {
  BackwardRow<T> row{x, weight, cotangent, weight_grad, bias_grad, statistics(x, n, eps, centre)};
  RowSums<T> sums = add_row(row, n);
  T mean = row.of.mean, inverse = row.of.inverse, count = static_cast<T>(n);
  T along = sums.along / count, shift = centre ? sums.all / count : T(0);
  auto part = [=](T g, T value) {
    return (g - shift - (value - mean) * inverse * along) * inverse;
  };
  if (weight) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) grad[i] = part(cotangent[i] * weight[i], x[i]);
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) grad[i] = part(cotangent[i], x[i]);
  }
}

}  // namespace

const NormTable& norm_table() {
  static constexpr NormTable table = {{add<float>, forward<float>, backward<float>},
                                      {add<double>, forward<double>, backward<double>}};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
