// The foldings of reductions: what one thread gathers (Part), what threads merge (Total), and how a
// total becomes a result. Floats add up in double, so the error does not grow with the length.
#pragma once

#include "mlx/backend/cuda/kernels/walk.h"
#include "mlx/kernels/reduce.h"

namespace mlx::core::kernels {

template <typename T>
using Computed = decltype(computed(T{}));

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

template <typename T, typename Out>
struct ExpSumFolding {
  using C = Computed<T>;
  using Total = ExpSum;
  using Part = ExpSum;
  static constexpr double lowest =
      is_same<C, double> ? -1.7976931348623157e308 : -3.4028234663852886e38;
  MLX_FN static Part start() { return {lowest, 0}; }
  /** The sum for a greater shift. Infinity stays what it is, whatever it is scaled by. */
  MLX_FN static double shifted(ExpSum part, double shift) {
    return part.sum == 0 || !is_finite(part.sum) ? part.sum : part.sum * ::exp(part.shift - shift);
  }
  MLX_FN static Total merge(Total a, Total b) {
    double shift = a.shift > b.shift ? a.shift : b.shift;
    return {shift, shifted(a, shift) + shifted(b, shift)};
  }
  MLX_FN static void add(Part& part, T x, int64_t) {
    C value = static_cast<C>(computed(x));
    double wide = value;
    if (wide > part.shift && is_finite(value)) {
      part = {wide, shifted(part, wide)};
    }
    if (value == C(-inf_d)) return;
    part.sum += static_cast<double>(math::exp(static_cast<C>(wide - part.shift)));
  }
  MLX_FN static Total total(Part part) { return part; }
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
  MLX_FN static void add(Part& part, T x, int64_t position) {
    part = merge(part, Total{computed(x), position});
  }
  MLX_FN static Total total(Part part) { return part; }
  MLX_FN static uint32_t finish(Total total, double, double) {
    return static_cast<uint32_t>(total.position);
  }
};

/** The total of `lanes` neighbouring threads of a block, in the first of them. */
template <typename F, int lanes>
MLX_FN typename F::Total merge_lanes(typename F::Total mine, typename F::Total* shared) {
  int t = threadIdx.x + threadIdx.y * blockDim.x;
  shared[t] = mine;
  for (int step = lanes / 2; step > 0; step /= 2) {
    __syncthreads();
    if (t % lanes < step) shared[t] = F::merge(shared[t], shared[t + step]);
  }
  __syncthreads();
  return shared[t - t % lanes];
}

}  // namespace mlx::core::kernels
