// The foldings of reductions: what one thread gathers (Part), what threads merge (Total), and how a
// total becomes a result. Floats add up in double, so the error does not grow with the length.
#pragma once

#include "mlx/backend/cuda/kernels/walk.h"
#include "mlx/kernels/reduce.h"
#include "mlx/kernels/softmax.h"

namespace mlx::core::kernels {

template <typename T>
using Computed = decltype(computed(T{}));

/** Waits for each other in groups of so many neighbouring threads. */
MLX_FN void wait_for_lanes(int lanes) {
  if (lanes > 32) {
    __syncthreads();
  } else {
    __syncwarp();
  }
}

/** The total of `lanes` neighbouring threads of a block, for all of them. */
template <typename F, int lanes>
MLX_FN typename F::Total merge_lanes(typename F::Total mine, typename F::Total* shared) {
  int t = threadIdx.x + threadIdx.y * blockDim.x;
  shared[t] = mine;
#pragma unroll
  for (int step = lanes / 2; step > 0; step /= 2) {
    wait_for_lanes(2 * step);
    if (t % lanes < step) shared[t] = F::merge(shared[t], shared[t + step]);
  }
  wait_for_lanes(lanes);
  return shared[t - t % lanes];
}

template <typename C>
struct MaxFold {
  using Total = C;
  MLX_FN static C merge(C a, C b) { return MaxOp().apply(a, b); }
};
template <typename C>
struct SumFold {
  using Total = C;
  MLX_FN static C merge(C a, C b) { return a + b; }
};

/** The smallest value of a type: what a maximum starts from; with `high` the largest. */
template <typename T>
MLX_FN T extreme(bool high) {
  if constexpr (is_complex<T>) {
    auto x = static_cast<RealOf<T>>(high ? inf_d : -inf_d);
    return {x, x};
  } else if constexpr (is_float<T>) {
    return high ? T(inf_d) : T(-inf_d);
  } else if constexpr (is_bool<T>) {
    return high;
  } else if constexpr (is_signed<T>) {
    T top = static_cast<T>((uint64_t(1) << (8 * sizeof(T) - 1)) - 1);
    return high ? top : static_cast<T>(-top - 1);
  } else {
    return high ? static_cast<T>(~T(0)) : T(0);
  }
}

/** What sums of T are kept in; integers in the result's own type, where they wrap. */
template <typename T, typename Out>
using SumTotal =
    choose_type<is_complex<T>, WideComplex, choose_type<is_float<Computed<T>>, double, Out>>;

template <typename Op, typename T, typename Out>
struct SumFolding {
  using Total = SumTotal<T, Out>;
  using Part = Total;
  static constexpr bool is_sum = is_same<Op, op::Add>;
  MLX_FN static Part start() {
    if constexpr (is_complex<T>) {
      return {is_sum ? 0.0 : 1.0, 0.0};
    } else {
      return Part(is_sum ? 0 : 1);
    }
  }
  MLX_FN static Total merge(Total a, Total b) {
    if constexpr (is_complex<T>) {
      return is_sum ? a + b : a * b;
    } else {
      return Op::apply(a, b);
    }
  }
  MLX_FN static void add(Part& part, T x, int64_t) {
    if constexpr (is_complex<T>) {
      part = merge(part, WideComplex{x.re, x.im});
    } else {
      part = merge(part, convert<Total>(computed(x)));
    }
  }
  MLX_FN static Total total(Part part) { return part; }
  MLX_FN static Out finish(Total total, double divisor, double) {
    if constexpr (is_complex<T>) {
      return convert<Out>(WideComplex{total.re / divisor, total.im / divisor});
    } else if constexpr (is_float<Computed<T>>) {
      return cast<Out>(divisor == 1.0 ? total : total / divisor);
    } else if constexpr (is_float<Computed<Out>>) {
      return cast<Out>(convert<double>(total) / divisor);
    } else {
      return total;
    }
  }
};

template <typename Op, typename T, typename Out>
struct ExtremeFolding {
  using Total = Computed<T>;
  using Part = Total;
  MLX_FN static Part start() { return extreme<Total>(is_same<Op, MinOp>); }
  MLX_FN static Total merge(Total a, Total b) { return Op().apply(a, b); }
  MLX_FN static void add(Part& part, T x, int64_t) { part = merge(part, computed(x)); }
  MLX_FN static Total total(Part part) { return part; }
  MLX_FN static Out finish(Total total, double, double) { return rounded<Out>(total); }
};

template <bool all, typename T>
struct TruthFolding {
  using Total = bool;
  using Part = bool;
  MLX_FN static Part start() { return all; }
  MLX_FN static Total merge(Total a, Total b) { return all ? a & b : a | b; }
  MLX_FN static void add(Part& part, T x, int64_t) { part = merge(part, cast<bool>(x)); }
  MLX_FN static Total total(Part part) { return part; }
  MLX_FN static bool finish(Total total, double, double) { return total; }
};

/** A thread sums distances from its first value, which loses nothing in double. */
struct ShiftedSums {
  double count, shift, sum, squares;
};

template <typename T, typename Out>
struct VarianceFolding {
  using Total = Moments;
  using Part = ShiftedSums;
  MLX_FN static Part start() { return {0, 0, 0, 0}; }
  MLX_FN static Total merge(Total a, Total b) { return kernels::merge(a, b); }
  MLX_FN static void add(Part& part, T x, int64_t) {
    double value = convert<double>(computed(x));
    if (part.count == 0) part.shift = value;
    double d = value - part.shift;
    part.count += 1;
    part.sum += d;
    part.squares += d * d;
  }
  MLX_FN static Total total(Part part) {
    if (part.count == 0) return {0, 0, 0};
    double mean = part.sum / part.count;
    return {part.count, part.shift + mean, part.squares - part.sum * mean};
  }
  MLX_FN static Out finish(Total total, double count, double ddof) {
    double degrees = count - ddof > 0 ? count - ddof : 0.0;
    return cast<Out>((total.squares < 0 ? 0.0 : total.squares) / degrees);
  }
};

/** A sum of exponentials as sum * exp(shift), where the shift is the greatest exponent. */
template <typename C>
struct ShiftedExpSum {
  C shift;
  double sum;
};

template <typename T, typename Out>
struct ExpSumFolding {
  using C = Computed<T>;
  using Total = ExpSum;
  using Part = ShiftedExpSum<C>;
  static constexpr double lowest =
      is_same<C, double> ? -1.7976931348623157e308 : -3.4028234663852886e38;
  MLX_FN static Part start() { return {static_cast<C>(lowest), 0}; }
  /** The sum for a greater shift. Infinity stays what it is, whatever it is scaled by. */
  template <typename Sum>
  MLX_FN static double shifted(Sum part, decltype(part.shift) shift) {
    if (part.sum == 0 || !is_finite(part.sum)) return part.sum;
    return part.sum * static_cast<double>(exp_nonpositive(static_cast<C>(part.shift - shift)));
  }
  MLX_FN static Total merge(Total a, Total b) {
    bool first = a.shift > b.shift;
    Total high = first ? a : b, low = first ? b : a;
    return {high.shift, high.sum + shifted(low, high.shift)};
  }
  /** What adds nothing. */
  MLX_FN static C nothing() { return C(-inf_d); }
  /** The greatest of several values is found first, so that they take one rescaling. */
  template <int n>
  MLX_FN static void add_values(Part& part, const C (&values)[n]) {
    constexpr int apart = n < 4 ? n : 4;
    C shift = part.shift, sums[apart] = {};
#pragma unroll
    for (int k = 0; k < n; k++) shift = values[k] > shift ? values[k] : shift;
    if (!is_finite(shift)) {
#pragma unroll
      for (int k = 0; k < n; k++) part.sum += values[k] < 0 ? C(0) : values[k];
      return;
    }
    if (shift > part.shift) part = {shift, shifted(part, shift)};
#pragma unroll
    for (int k = 0; k < n; k++) sums[k % apart] += exp_nonpositive(values[k] - shift);
    C sum = 0;
#pragma unroll
    for (int k = 0; k < apart; k++) sum += sums[k];
    part.sum += static_cast<double>(sum);
  }
  MLX_FN static void add(Part& part, T x, int64_t) {
    const C value[1] = {computed(x)};
    add_values(part, value);
  }
  MLX_FN static Total total(Part part) { return {static_cast<double>(part.shift), part.sum}; }
  /** As merge_lanes; parts that have the greatest shift of all just add up. */
  template <int lanes, int threads>
  MLX_FN static Total merge_parts(Part part) {
    __shared__ C shifts[threads];
    __shared__ double sums[threads];
    C shift = merge_lanes<MaxFold<C>, lanes>(part.shift, shifts);
    double sum = part.shift == shift ? part.sum : shifted(part, shift);
    return {static_cast<double>(shift), merge_lanes<SumFold<double>, lanes>(sum, sums)};
  }
  MLX_FN static Out finish(Total total, double, double) {
    return cast<Out>(total.sum == 0 ? -inf_d : total.shift + ::log(total.sum));
  }
};

template <typename Op, typename T>
struct PositionFolding {
  using Total = Found<Computed<T>>;
  using Part = Total;
  MLX_FN static Part start() { return {Computed<T>{}, -1}; }
  MLX_FN static Total merge(Total a, Total b) {
    if (a.position < 0) return b;
    if (b.position < 0) return a;
    if (replaces<Op>(b.value, a.value)) return b;
    if (replaces<Op>(a.value, b.value)) return a;
    return a.position < b.position ? a : b;
  }
  /** Positions come in ascending order, so of equal values the one before stays. */
  MLX_FN static void add(Part& part, T x, int64_t position) {
    Computed<T> value = computed(x);
    if (part.position < 0 || replaces<Op>(value, part.value)) part = {value, position};
  }
  MLX_FN static Total total(Part part) { return part; }
  MLX_FN static uint32_t finish(Total total, double, double) {
    return static_cast<uint32_t>(total.position);
  }
};

}  // namespace mlx::core::kernels
