// Sums of exponentials whose shift follows the greatest value so far, and the gradient.
#include "mlx/backend/cpu/cross_entropy_kernels.h"

#include "mlx/backend/cpu/reduce_fold.h"
#include "mlx/kernels/math_log.h"
#include "mlx/kernels/softmax.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

template <typename T>
ExponentialSum<T> start() {
  return {static_cast<T>(-inf_d), T(0), T(0)};
}

template <typename T>
void add(const T* x, int64_t n, ExponentialSum<T>* sum) {
  T most = fold_values<MaxOp>(x, n);
  if (!(most < static_cast<T>(inf_d))) {
    sum->extreme += most;
    return;
  }
  if (most == static_cast<T>(-inf_d)) return;
  if (most > sum->shift) {
    sum->sum *= exp_nonpositive(sum->shift - most);
    sum->shift = most;
  }
  T shift = sum->shift;
  sum->sum += map_sum<T>(n, [=](int64_t i) { return exp_nonpositive(x[i] - shift); });
}

template <typename T>
void finish(const ExponentialSum<T>& sum, T* parts) {
  bool regular = sum.extreme == 0;
  parts[0] = regular ? sum.shift : sum.extreme;
  parts[1] = regular ? math::log(sum.sum) : T(0);
}

template <typename T>
void gradient(const T* x, const T* parts, T cotangent, T* out, int64_t n) {
  T shift = parts[0], rest = parts[1];
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) out[i] = exp_nonpositive(x[i] - shift - rest) * cotangent;
}

template <typename T>
constexpr CrossEntropyKernel<T> kernel() {
  return {start<T>, add<T>, finish<T>, gradient<T>};
}

}  // namespace

const CrossEntropyTable& cross_entropy_table() {
  static constexpr CrossEntropyTable table = {kernel<float>(), kernel<double>()};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
