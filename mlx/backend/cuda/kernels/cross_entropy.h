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

template <typename C>
struct ExponentialSumFold {
  using Total = ExponentialSum<C>;
  MLX_FN static C scaled(const Total& a, C shift) {
    return a.sum == C(0) ? C(0) : a.sum * exp_nonpositive(a.shift - shift);
  }
  MLX_FN static Total merge(const Total& a, const Total& b) {
    C shift = a.shift > b.shift ? a.shift : b.shift;
    return {shift, scaled(a, shift) + scaled(b, shift), a.extreme + b.extreme};
  }
};

template <typename C, int count>
MLX_FN void add_values(ExponentialSum<C>& sum, const C (&x)[count]) {
  C most = x[0];
#pragma unroll
  for (int k = 1; k < count; k++) most = MaxOp().apply(most, x[k]);
  if (!(most < C(inf_d))) {
    sum.extreme += most;
    return;
  }
  if (most == C(-inf_d)) return;
  if (most > sum.shift) {
    sum.sum *= exp_nonpositive(sum.shift - most);
    sum.shift = most;
  }
#pragma unroll
  for (int k = 0; k < count; k++) sum.sum += exp_nonpositive(x[k] - sum.shift);
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
  for (int64_t first = lane * pack; first < n; first += lanes * count) {
    C x[count];
#pragma unroll
    for (int d = 0; d < cross_entropy_depth; d++) {
      int64_t at = first + d * lanes * pack;
      Pack<T, pack> values;
      if (at < n) values = load_pack<T, pack>(logits, at);
#pragma unroll
      for (int k = 0; k < pack; k++) {
        x[d * pack + k] = at < n ? static_cast<C>(computed(values.at[k])) : C(-inf_d);
      }
    }
    add_values(sum, x);
  }
  sum = merge_lanes<ExponentialSumFold<C>, lanes>(sum, shared);
  if (lane > 0 || row >= p.rows) return;
  int64_t target = target_class(p, row);
  C score = target < 0 ? C(0) : static_cast<C>(computed(logits[target]));
  bool regular = sum.extreme == C(0);
  C shift = regular ? sum.shift : sum.extreme, rest = regular ? math::log(sum.sum) : C(0);
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
      C e = exp_nonpositive(static_cast<C>(computed(values.at[k])) - shift - rest) * factor;
      values.at[k] = rounded<T>(first + k == target ? e - factor : e);
    }
    store_pack<T, pack>(out, first, values);
  }
}

}  // namespace mlx::core::kernels
