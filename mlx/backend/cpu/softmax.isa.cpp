// Softmax in three passes over values in cache: maximum, exponentials with their sum, scaling.
#include "mlx/backend/cpu/softmax_kernels.h"

#include "mlx/backend/cpu/reduce_fold.h"
#include "mlx/kernels/softmax.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

template <typename T>
void softmax_rows(const T* in, T* out, int64_t n, int64_t count) {
  constexpr int64_t step = 4 * lanes<T>;
  for (int64_t row = 0; row < count; row++, in += n, out += n) {
    T shift = fold_values<MaxOp>(in, n);
    T part[step] = {};
    int64_t i = 0;
    for (; i + step <= n; i += step) {
      for (int64_t k = 0; k < step; k++) {
        T e = exp_nonpositive(in[i + k] - shift);
        out[i + k] = e;
        part[k] += e;
      }
    }
    T sum = fold_values<SumOp>(part, step);
    for (; i < n; i++) {
      out[i] = exp_nonpositive(in[i] - shift);
      sum += out[i];
    }
    T scale = T(1) / sum;
    for (i = 0; i < n; i++) out[i] *= scale;
  }
}

template <typename T>
void softmax_columns(const T* in, T* out, int64_t n, int64_t stride, int64_t width) {
  T shift[max_softmax_columns], part[max_softmax_columns];
  double sum[max_softmax_columns];
  fold_columns<MaxOp>(in, stride, n, width, shift);
  for (int64_t j = 0; j < width; j++) sum[j] = 0;
  for (int64_t block = 0; block < n; block += row_block) {
    int64_t end = n < block + row_block ? n : block + row_block;
    for (int64_t j = 0; j < width; j++) part[j] = 0;
    for (int64_t i = block; i < end; i++) {
      const T* x = in + i * stride;
      T* y = out + i * stride;
#pragma GCC ivdep
      for (int64_t j = 0; j < width; j++) {
        T e = exp_nonpositive(x[j] - shift[j]);
        y[j] = e;
        part[j] += e;
      }
    }
    for (int64_t j = 0; j < width; j++) sum[j] += part[j];
  }
  for (int64_t j = 0; j < width; j++) part[j] = static_cast<T>(1.0 / sum[j]);
  for (int64_t i = 0; i < n; i++) {
    T* y = out + i * stride;
    for (int64_t j = 0; j < width; j++) y[j] *= part[j];
  }
}

template <typename T>
void softmax_jacobian(const T* y, const T* d, T* out, int64_t n, int64_t count) {
  for (int64_t row = 0; row < count; row++, y += n, d += n, out += n) {
    T dot = map_sum<T>(n, [=](int64_t i) { return y[i] * d[i]; });
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) out[i] = y[i] * (d[i] - dot);
  }
}

}  // namespace

const SoftmaxTable& softmax_table() {
  static constexpr SoftmaxTable table = {
      {softmax_rows<float>, softmax_columns<float>, softmax_jacobian<float>},
      {softmax_rows<double>, softmax_columns<double>, softmax_jacobian<double>}};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
