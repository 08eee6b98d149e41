// Cross-entropy: a warp or a block per row, which reads it once and keeps a sum of exponentials
// whose shift follows the greatest value so far; and the gradient, one read and one write.
#pragma once

#include "mlx/backend/cuda/kernels/cross_entropy_call.h"
#include "mlx/backend/cuda/kernels/fold.h"
#include "mlx/kernels/softmax.h"

namespace mlx::core::kernels {

constexpr int cross_entropy_threads = 256;
constexpr int cross_entropy_depth = 4;  // packs that a thread has under way

template <typename C>
struct ExponentialSum {
  C shift, sum;
  C extreme;  // infinity or NaN where values were that, else 0
};

/** exp(x) for x <= 0 or NaN. Rows of half types are read faster than float's exp is computed. */
template <typename T, typename C>
MLX_FN C exp_of(C x) {
  if constexpr (is_half<T>) {
    return quickest_exp2(x * log2_e);
  } else {
    return exp_nonpositive(x);
  }
}

template <typename T>
struct ExponentialSumFold {
  using C = Computed<T>;
  using Total = ExponentialSum<C>;
  MLX_FN static C scaled(const Total& a, C shift) {
    return a.sum == C(0) ? C(0) : a.sum * exp_of<T>(a.shift - shift);
  }
  MLX_FN static Total merge(const Total& a, const Total& b) {
    C shift = a.shift > b.shift ? a.shift : b.shift;
    return {shift, scaled(a, shift) + scaled(b, shift), a.extreme + b.extreme};
  }
};

/** The greatest value, where NaN counts as none. */
MLX_FN float greater(float a, float b) { return fmaxf(a, b); }
MLX_FN double greater(double a, double b) { return ::fmax(a, b); }

template <typename T, typename C, int count>
MLX_FN void add_values(ExponentialSum<C>& sum, const C (&x)[count]) {
  C most = x[0];
#pragma unroll
  for (int k = 1; k < count; k++) most = greater(most, x[k]);
  if (!(most < C(inf_d)) || most == C(-inf_d)) {
#pragma unroll
    for (int k = 0; k < count; k++) sum.extreme += x[k] < C(inf_d) ? C(0) : x[k];
    return;
  }
  if (most > sum.shift) {
    sum.sum *= exp_of<T>(sum.shift - most);
    sum.shift = most;
  }
#pragma unroll
  for (int k = 0; k < count; k++) sum.sum += exp_of<T>(x[k] - sum.shift);
}

/** The packs of a thread from column `first` on, `step` apart; `whole` if all are within the row.
 */
template <typename T, int step, int pack, bool whole, typename C, int count>
MLX_FN void add_packs(ExponentialSum<C>& sum, const T* row, int64_t first, int64_t n,
                      C (&x)[count]) {
  Pack<T, pack> packs[count / pack];
#pragma unroll
  for (int d = 0; d < count / pack; d++) {
    if (whole || first + d * step < n) packs[d] = load_pack<T, pack>(row, first + d * step);
  }
#pragma unroll
  for (int d = 0; d < count / pack; d++) {
    bool present = whole || first + d * step < n;
#pragma unroll
    for (int k = 0; k < pack; k++) {
      x[d * pack + k] = present ? static_cast<C>(computed(packs[d].at[k])) : C(-inf_d);
    }
  }
  add_values<T>(sum, x);
}

/** The class of a row, or -1 where its target is none. */
MLX_FN int64_t target_class(const CrossEntropyCall& p, int64_t row) {
  int64_t target = p.target_type == target_int64
                       ? static_cast<const int64_t*>(p.targets)[row]
                       : (p.target_type == target_uint32
                              ? static_cast<int64_t>(static_cast<const uint32_t*>(p.targets)[row])
                              : static_cast<const int32_t*>(p.targets)[row]);
  return target >= 0 && target < p.classes ? target : -1;
}

/** The row of this thread; past the last one where there is none. */
template <int lanes>
MLX_FN int64_t row_of_lanes() {
  return static_cast<int64_t>(blockIdx.x) * (cross_entropy_threads / lanes) + threadIdx.x / lanes;
}

/** Rows are read `pack` neighbours at a time. */
template <typename T, int lanes, int pack>
MLX_FN void cross_entropy(const CrossEntropyCall& p) {
  using C = Computed<T>;
  constexpr int count = pack * cross_entropy_depth;
  __shared__ ExponentialSum<C> shared[cross_entropy_threads];
  int lane = threadIdx.x % lanes;
  int64_t row = row_of_lanes<lanes>();
  int64_t n = row < p.rows ? p.classes : 0;
  const T* logits = static_cast<const T*>(p.logits) + row * p.classes;
  ExponentialSum<C> sum = {C(-inf_d), C(0), C(0)};
  constexpr int step = lanes * pack;
  C x[count];
  int64_t first = lane * pack;
  for (; first + (cross_entropy_depth - 1) * step < n; first += lanes * count) {
    add_packs<T, step, pack, true>(sum, logits, first, n, x);
  }
  if (first < n) add_packs<T, step, pack, false>(sum, logits, first, n, x);
  sum = merge_lanes<ExponentialSumFold<T>, lanes>(sum, shared);
  if (lane > 0 || row >= p.rows) return;
  int64_t target = target_class(p, row);
  C score = target < 0 ? C(0) : static_cast<C>(computed(logits[target]));
  bool regular = sum.extreme == C(0);
  C shift = regular ? sum.shift : sum.extreme;
  C rest = regular ? math::log(sum.sum) : sum.sum * C(0);  // NaN beside an infinity stays NaN
  static_cast<C*>(p.losses)[row] = shift - score + rest;
  static_cast<C*>(p.statistics)[2 * row] = shift;
  static_cast<C*>(p.statistics)[2 * row + 1] = rest;
}

/** (softmax - onehot) * cotangent; the gradient may lie over the logits. */
template <typename T, int lanes, int pack>
MLX_FN void cross_entropy_gradient(const CrossEntropyCall& p) {
  using C = Computed<T>;
  int64_t row = row_of_lanes<lanes>();
  if (row >= p.rows) return;
  const T* logits = static_cast<const T*>(p.logits) + row * p.classes;
  T* out = static_cast<T*>(p.gradient) + row * p.classes;
  C shift = static_cast<const C*>(p.statistics)[2 * row];
  C rest = static_cast<const C*>(p.statistics)[2 * row + 1];
  C factor = static_cast<const C*>(p.cotangent)[row];
  int64_t target = target_class(p, row);
#pragma unroll 2
  for (int64_t first = threadIdx.x % lanes * pack; first < p.classes; first += lanes * pack) {
    auto values = load_pack<T, pack>(logits, first);
#pragma unroll
    for (int k = 0; k < pack; k++) {
      C e = exp_of<T>(static_cast<C>(computed(values.at[k])) - shift - rest) * factor;
      values.at[k] = rounded<T>(first + k == target ? e - factor : e);
    }
    store_pack<T, pack>(out, first, values);
  }
}

}  // namespace mlx::core::kernels
