// Running folds: what they keep, and how a value or a chunk goes on from the ones before. Long axes
// are cut into chunks, whose totals come first; these merge in a fixed order, so that results are
// the same every time.
#pragma once

#include "mlx/backend/cuda/kernels/fold.h"
#include "mlx/backend/cuda/kernels/order_sizes.h"
#include "mlx/backend/cuda/kernels/scan_call.h"
#include "mlx/kernels/softmax.h"

namespace mlx::core::kernels {

/** A sum of exponentials as sum * exp(shift), where the shift is the greatest exponent. */
template <typename C>
struct ExpTotal {
  C shift, sum;
};

template <typename T>
struct LogSumFolding {
  using C = Computed<T>;
  using Total = ExpTotal<C>;
  MLX_FN static Total start() { return {static_cast<C>(-inf_d), 0}; }
  MLX_FN static Total merge(Total a, Total b) {
    bool first = a.shift >= b.shift;
    Total high = first ? a : b, low = first ? b : a;
    // Equal infinities have no difference.
    C scale = low.shift == high.shift ? C(1) : exp_nonpositive(low.shift - high.shift);
    return {high.shift, high.sum + low.sum * scale};
  }
  MLX_FN static void add(Total& part, T x, int64_t) { part = merge(part, {computed(x), 1}); }
  MLX_FN static T finish(Total total, double, double) {
    return rounded<T>(total.sum == 0 ? static_cast<C>(-inf_d) : total.shift + math::log(total.sum));
  }
};

/** Complex sums of exponentials stay logarithms. */
template <typename T>
struct ComplexLogSumFolding {
  using Total = T;
  MLX_FN static Total start() { return {-static_cast<RealOf<T>>(inf_d), 0}; }
  // A call, since the body is long and merges are many.
  __device__ __noinline__ static Total merge(Total a, Total b) {
    return apply_body<op::LogAddExp>(a, b);
  }
  MLX_FN static void add(Total& part, T x, int64_t) { part = merge(part, x); }
  MLX_FN static T finish(Total total, double, double) { return total; }
};

/** Where value `i` of the running order lies along an axis. */
MLX_FN int64_t place_of(const ScanCall& p, int64_t i) { return p.backward ? p.length - 1 - i : i; }

/** Goes on from `running` over one value and returns the result for it. */
template <typename F, typename T>
MLX_FN T advance(const ScanCall& p, typename F::Total& running, T x) {
  auto before = running;
  F::add(running, x, 0);
  return F::finish(p.exclusive ? before : running, 1.0, 0.0);
}

/** The total of the chunks before `chunk` of number `at` of `count` rows or columns; the threads
 *  `part` of `parts` share the work. */
template <typename F>
MLX_FN typename F::Total chunks_before(const ScanCall& p, int64_t chunk, int64_t at, int64_t count,
                                       int part, int parts) {
  auto total = F::start();
  auto* totals = static_cast<const typename F::Total*>(p.totals);
  for (int64_t c = part; c < chunk; c += parts) total = F::merge(total, totals[c * count + at]);
  return total;
}

}  // namespace mlx::core::kernels
