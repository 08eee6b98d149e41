// Scan kernels. A row is scanned a register at a time: log2(lanes) shifted additions inside the
// register, and one addition of the carry, so that the chain of dependent operations is one per
// register. Sums of n floats along a row are within (n / lanes + 5) * 2^-24 * sum |x|.
#include "mlx/backend/cpu/scan_kernels.h"

#include "mlx/backend/cpu/reduce_fold.h"
#include "mlx/kernels/math_complex_wide.h"
#include "mlx/kernels/math_log.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

struct LogAddExpOp {
  template <typename T>
  MLX_FN T apply(T a, T b) {
    return math::logaddexp(a, b);
  }
};

template <typename Op, typename T>
constexpr T scan_identity() {
  if constexpr (is_same<Op, LogAddExpOp>) {
    if constexpr (is_complex<T>) {
      return {-static_cast<RealOf<T>>(inf_d), 0};
    } else {
      return static_cast<T>(-inf_d);
    }
  } else if constexpr (is_same<Op, SumOp>) {
    return T{};
  } else if constexpr (is_same<Op, ProdOp>) {
    if constexpr (is_complex<T>) {
      return {1, 0};
    } else {
      return T(1);
    }
  } else {
    return fold_identity<Op, T>();
  }
}

/** Types and operations whose scan inside a register pays: all cheap ones of 4 and 8 bytes. */
template <typename Op, typename T>
constexpr bool scans_registers = !is_complex<T> && sizeof(T) >= 4 && !is_same<Op, LogAddExpOp>;

template <int... i>
struct Indices {};
template <int n, int... i>
struct CountTo : CountTo<n - 1, n - 1, i...> {};
template <int... i>
struct CountTo<0, i...> {
  using type = Indices<i...>;
};
template <typename T>
using LaneIndices = typename CountTo<lanes<T>>::type;

/** Lane i takes lane i - shift, and the first ones take the identity. */
template <int shift, typename P, int... i>
MLX_FN P shift_lanes(P identity, P v, Indices<i...>) {
  constexpr int width = sizeof...(i);
  return __builtin_shufflevector(identity, v, (i < shift ? i : width + i - shift)...);
}

template <typename P, int... i>
MLX_FN P reverse_lanes(P v, Indices<i...>) {
  return __builtin_shufflevector(v, v, (static_cast<int>(sizeof...(i)) - 1 - i)...);
}

template <typename P, int... i>
MLX_FN P last_lane(P v, Indices<i...>) {
  return __builtin_shufflevector(v, v, (i * 0 + static_cast<int>(sizeof...(i)) - 1)...);
}

/** Inclusive scan of the lanes. */
template <typename Op, typename T, int shift = 1>
MLX_FN Pack<T> scan_lanes(Pack<T> v, Pack<T> identity) {
  if constexpr (shift < lanes<T>) {
    v = Op().apply(shift_lanes<shift>(identity, v, LaneIndices<T>()), v);
    return scan_lanes<Op, T, 2 * shift>(v, identity);
  } else {
    return v;
  }
}

/** A stretch of a row of which log sums are made at once: exponentials relative to the largest
 * value are added up in double, without a chain of logarithms. */
class LogStretch {
 public:
  static constexpr int64_t most = 64;

  template <typename T>
  LogStretch(const T* from, int64_t count, bool backward, T carry)
      : count_(count), carry_(carry), top_(carry_) {
    for (int64_t i = 0; i < count; i++) x_[i] = from[backward ? count - 1 - i : i];
    for (int64_t i = count; i < most; i++) x_[i] = -inf_d;
    bool numbers = !is_nan(carry_);  // comparisons pass over a NaN
    for (int64_t i = 0; i < most; i++) {
      top_ = x_[i] > top_ ? x_[i] : top_;
      numbers &= !is_nan(x_[i]);
    }
    top_ = numbers ? top_ : nan_d;
  }

  /** Whether the last sum, or all of them, are numbers well within the range. What a sum is below
   * the largest value costs it digits, of which a double has none to spare. */
  bool has_total() const { return is_finite(top_); }
  template <typename T>
  bool has_sums() const {
    constexpr double lowest = is_same<T, double> ? 16.0 : 600.0;
    return has_total() && (carry_ > x_[0] ? carry_ : x_[0]) > top_ - lowest;
  }

  /** Each sum to `sums`, and the last one. */
  double scan(double* sums) {
    double sum = exponentials();
    for (int64_t i = 0; i < count_; i++) {
      sum += x_[i];
      sums[i] = sum;
    }
    for (int64_t i = 0; i < most; i++) sums[i] = top_ + math::log_core(sums[i]);
    return top_ + math::log_core(sum);
  }

  double total() {
    constexpr int64_t width = 8;
    double parts[width] = {exponentials()};
    for (int64_t i = 0; i < most; i += width) {
      for (int64_t k = 0; k < width; k++) parts[k] += x_[i + k];
    }
    for (int64_t k = 1; k < width; k++) parts[0] += parts[k];
    return top_ + math::log_core(parts[0]);
  }

 private:
  /** Of all values, in place; returns that of the carry. */
  double exponentials() {
    for (int64_t i = 0; i < most; i++) x_[i] = exponential(x_[i]);
    return exponential(carry_);
  }
  double exponential(double x) const { return math::exp_core(math::clamp(x - top_, -700.0, 0.0)); }

  int64_t count_;
  double carry_, top_, x_[most];
};

template <typename T, bool backward>
void log_scan_row(const T* from, T* to, int64_t n, T& carry) {
  for (int64_t done = 0; done < n; done += LogStretch::most) {
    int64_t count = n - done < LogStretch::most ? n - done : LogStretch::most;
    int64_t at = backward ? n - done - count : done;
    LogStretch stretch(from + at, count, backward, carry);
    double sums[LogStretch::most] = {};
    bool plain = stretch.has_sums<T>();
    double last = plain ? stretch.scan(sums) : 0.0;
    for (int64_t i = 0; i < count; i++) {
      int64_t place = at + (backward ? count - 1 - i : i);
      carry = plain ? static_cast<T>(sums[i]) : math::logaddexp(carry, from[place]);
      to[place] = carry;
    }
    carry = plain ? static_cast<T>(last) : carry;
  }
}

template <typename Op, typename T, bool backward>
void scan_row(const void* in, void* out, int64_t n, void* carry) {
  const T* from = static_cast<const T*>(in);
  T* to = static_cast<T*>(out);
  if constexpr (is_same<Op, LogAddExpOp> && !is_complex<T>) {
    log_scan_row<T, backward>(from, to, n, *static_cast<T*>(carry));
    return;
  }
  Op op;
  T acc = *static_cast<T*>(carry);
  int64_t done = 0;
  if constexpr (scans_registers<Op, T>) {
    constexpr int64_t width = lanes<T>;
    Pack<T> identity, carried;
    for (int i = 0; i < width; i++) {
      identity[i] = scan_identity<Op, T>();
      carried[i] = acc;
    }
    for (; done + width <= n; done += width) {
      int64_t at = backward ? n - done - width : done;
      Pack<T> v = load_pack(from + at);
      if constexpr (backward) v = reverse_lanes(v, LaneIndices<T>());
      v = scan_lanes<Op, T>(v, identity);
      Pack<T> result = op.apply(carried, v);
      carried = op.apply(carried, last_lane(v, LaneIndices<T>()));
      if constexpr (backward) result = reverse_lanes(result, LaneIndices<T>());
      store_pack(to + at, result);
    }
    acc = carried[0];
  }
  for (; done < n; done++) {
    int64_t at = backward ? n - 1 - done : done;
    acc = op.apply(acc, from[at]);
    to[at] = acc;
  }
  *static_cast<T*>(carry) = acc;
}

template <typename Op, typename T>
struct ScanKernelOf {
  static void fill(void* out, int64_t n) {
    for (int64_t i = 0; i < n; i++) static_cast<T*>(out)[i] = scan_identity<Op, T>();
  }

  static void columns(const void* in, int64_t in_stride, void* out, int64_t out_stride,
                      int64_t rows, int64_t width, void* acc) {
    const T* from = static_cast<const T*>(in);
    T* to = static_cast<T*>(out);
    T* sum = static_cast<T*>(acc);
    for (int64_t r = 0; r < rows; r++, from += in_stride, to += out_stride) {
#pragma GCC ivdep
      for (int64_t j = 0; j < width; j++) {
        sum[j] = Op().apply(sum[j], from[j]);
        to[j] = sum[j];
      }
    }
  }

  static void total(const void* in, int64_t n, void* carry) {
    T& acc = *static_cast<T*>(carry);
    const T* from = static_cast<const T*>(in);
    if constexpr (is_same<Op, LogAddExpOp> && !is_complex<T>) {
      for (int64_t b = 0; b < n; b += LogStretch::most) {
        int64_t count = n - b < LogStretch::most ? n - b : LogStretch::most;
        LogStretch stretch(from + b, count, false, acc);
        if (stretch.has_total()) {
          acc = static_cast<T>(stretch.total());
        } else {
          for (int64_t i = b; i < b + count; i++) acc = Op().apply(acc, from[i]);
        }
      }
    } else if constexpr (is_same<Op, LogAddExpOp>) {
      for (int64_t i = 0; i < n; i++) acc = Op().apply(acc, from[i]);
    } else {
      for (int64_t b = 0; b < n; b += fold_block) {
        acc = Op().apply(acc, fold_values<Op>(from + b, n - b < fold_block ? n - b : fold_block));
      }
    }
  }

  static constexpr ScanKernel kernel() {
    return {fill, scan_row<Op, T, false>, scan_row<Op, T, true>, columns, total};
  }
};

// Rows of the table follow the order of Dtype::Val: bool, u8 to u64, i8 to i64, f16, f32, f64,
// bf16, c64, c128. Sums and products wrap, so the unsigned types serve the signed ones.
template <typename Op>
constexpr void fill_inexact(ScanKernel* row) {
  row[10] = ScanKernelOf<Op, float>::kernel();
  row[11] = ScanKernelOf<Op, double>::kernel();
  row[13] = ScanKernelOf<Op, Complex>::kernel();
  row[14] = ScanKernelOf<Op, WideComplex>::kernel();
}

template <typename Op>
constexpr void fill_arithmetic(ScanKernel* row) {
  row[0] = row[1] = row[5] = ScanKernelOf<Op, uint8_t>::kernel();
  row[2] = row[6] = ScanKernelOf<Op, uint16_t>::kernel();
  row[3] = row[7] = ScanKernelOf<Op, uint32_t>::kernel();
  row[4] = row[8] = ScanKernelOf<Op, uint64_t>::kernel();
  fill_inexact<Op>(row);
}

template <typename Op>
constexpr void fill_ordered(ScanKernel* row) {
  fill_arithmetic<Op>(row);
  row[5] = ScanKernelOf<Op, int8_t>::kernel();
  row[6] = ScanKernelOf<Op, int16_t>::kernel();
  row[7] = ScanKernelOf<Op, int32_t>::kernel();
  row[8] = ScanKernelOf<Op, int64_t>::kernel();
}

constexpr ScanTable make_table() {
  ScanTable table = {};
  fill_arithmetic<SumOp>(table.kernels[0]);
  table.kernels[0][0] = ScanKernelOf<MaxOp, uint8_t>::kernel();  // booleans stay 0 or 1
  fill_arithmetic<ProdOp>(table.kernels[1]);
  fill_ordered<MaxOp>(table.kernels[2]);
  fill_ordered<MinOp>(table.kernels[3]);
  fill_inexact<LogAddExpOp>(table.kernels[4]);
  return table;
}

}  // namespace

const ScanTable& scan_table() {
  static constexpr ScanTable table = make_table();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
