// The table of reduction kernels, with those of the statistics: moments for mean and variance,
// shifted sums of exponentials, and positions of extrema.
#include "mlx/backend/cpu/reduce_fold.h"
#include "mlx/kernels/softmax.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/** Mean first, then squared distances from it, a block of rows in cache at a time. */
template <typename T>
struct MomentsKernel {
  using Total = Moments;

  static void init(void* totals, int64_t count) {
    for (int64_t i = 0; i < count; i++) static_cast<Total*>(totals)[i] = {0, 0, 0};
  }

  static Moments block(const T* in, int64_t n) {
    T centre = static_cast<T>(fold_values<SumOp>(in, n) / static_cast<T>(n));
    double shift = map_sum<T>(n, [=](int64_t i) { return in[i] - centre; });
    double squares = map_sum<T>(n, [=](int64_t i) { return (in[i] - centre) * (in[i] - centre); });
    double count = static_cast<double>(n);
    return {count, centre + shift / count, squares - shift * shift / count};
  }

  static void rows(const void* in, int64_t row_stride, int64_t n, int64_t count, int64_t,
                   void* totals) {
    for (int64_t i = 0; i < count; i++) {
      const T* row = static_cast<const T*>(in) + i * row_stride;
      auto& total = static_cast<Total*>(totals)[i];
      for (int64_t b = 0; b < n; b += fold_block) {
        total = kernels::merge(total, block(row + b, smaller(n - b, fold_block)));
      }
    }
  }

  static void columns(const void* in, int64_t row_stride, int64_t rows, int64_t width, int64_t,
                      void* totals) {
    auto* total = static_cast<Total*>(totals);
    T centre[max_reduce_columns], shift[max_reduce_columns], squares[max_reduce_columns];
    for (int64_t r = 0; r < rows; r += row_block) {
      const T* from = static_cast<const T*>(in) + r * row_stride;
      int64_t size = smaller(rows - r, row_block);
      fold_columns<SumOp>(from, row_stride, size, width, centre);
      for (int64_t j = 0; j < width; j++) {
        centre[j] /= static_cast<T>(size);
        shift[j] = squares[j] = 0;
      }
      for (int64_t k = 0; k < size; k++) {
        const T* __restrict row = from + k * row_stride;
        for (int64_t j = 0; j < width; j++) {
          T d = row[j] - centre[j];
          shift[j] += d;
          squares[j] += d * d;
        }
      }
      double count = static_cast<double>(size);
      for (int64_t j = 0; j < width; j++) {
        double s = shift[j];
        total[j] =
            kernels::merge(total[j], {count, centre[j] + s / count, squares[j] - s * s / count});
      }
    }
  }

  static void merge(void* totals, const void* others, int64_t count) {
    auto* a = static_cast<Total*>(totals);
    auto* b = static_cast<const Total*>(others);
    for (int64_t i = 0; i < count; i++) a[i] = kernels::merge(a[i], b[i]);
  }
};

/** What to subtract from values whose maximum is `max`: not -inf, which would make NaN of them. */
template <typename T>
T shift_for(T max) {
  return max == -static_cast<T>(inf_d) ? T(0) : max;
}

/** The sum of exp(x - shift), where infinity and NaN are the result already. */
template <typename T>
ExpSum exponentials(T shift, T sum) {
  return is_finite(shift) ? ExpSum{shift, sum} : ExpSum{0.0, shift};
}

ExpSum merge_exponentials(ExpSum a, ExpSum b) {
  if (a.sum == 0) return b;
  if (b.sum == 0) return a;
  if (!is_finite(a.sum) || !is_finite(b.sum)) return {0.0, a.sum + b.sum};  // whatever the shifts
  return a.shift >= b.shift ? ExpSum{a.shift, a.sum + b.sum * __builtin_exp(b.shift - a.shift)}
                            : ExpSum{b.shift, b.sum + a.sum * __builtin_exp(a.shift - b.shift)};
}

template <typename T>
struct ExpSumKernel {
  using Total = ExpSum;

  static void init(void* totals, int64_t count) {
    for (int64_t i = 0; i < count; i++) static_cast<Total*>(totals)[i] = {0, 0};
  }

  static void rows(const void* in, int64_t row_stride, int64_t n, int64_t count, int64_t,
                   void* totals) {
    for (int64_t i = 0; i < count; i++) {
      const T* row = static_cast<const T*>(in) + i * row_stride;
      auto& total = static_cast<Total*>(totals)[i];
      for (int64_t b = 0; b < n; b += fold_block) {
        int64_t size = smaller(n - b, fold_block);
        T shift = shift_for(fold_values<MaxOp>(row + b, size));
        const T* x = row + b;
        T sum = map_sum<T>(size, [=](int64_t k) { return exp_nonpositive(x[k] - shift); });
        total = merge_exponentials(total, exponentials(shift, sum));
      }
    }
  }

  static void columns(const void* in, int64_t row_stride, int64_t rows, int64_t width, int64_t,
                      void* totals) {
    constexpr int64_t block = 4 * row_block;
    auto* total = static_cast<Total*>(totals);
    T shift[max_reduce_columns], sum[max_reduce_columns];
    for (int64_t r = 0; r < rows; r += block) {
      const T* from = static_cast<const T*>(in) + r * row_stride;
      int64_t size = smaller(rows - r, block);
      fold_columns<MaxOp>(from, row_stride, size, width, shift);
      for (int64_t j = 0; j < width; j++) {
        shift[j] = shift_for(shift[j]);
        sum[j] = 0;
      }
      for (int64_t k = 0; k < size; k++) {
        const T* __restrict row = from + k * row_stride;
        for (int64_t j = 0; j < width; j++) sum[j] += exp_nonpositive(row[j] - shift[j]);
      }
      for (int64_t j = 0; j < width; j++) {
        total[j] = merge_exponentials(total[j], exponentials(shift[j], sum[j]));
      }
    }
  }

  static void merge(void* totals, const void* others, int64_t count) {
    auto* a = static_cast<Total*>(totals);
    auto* b = static_cast<const Total*>(others);
    for (int64_t i = 0; i < count; i++) a[i] = merge_exponentials(a[i], b[i]);
  }
};

template <int size>
struct UnsignedOf;
template <>
struct UnsignedOf<1> {
  using type = uint8_t;
};
template <>
struct UnsignedOf<2> {
  using type = uint16_t;
};
template <>
struct UnsignedOf<4> {
  using type = uint32_t;
};
template <>
struct UnsignedOf<8> {
  using type = uint64_t;
};
template <>
struct UnsignedOf<16> {
  using type = uint64_t;
};

template <typename Op, typename T>
struct ArgKernel {
  using Total = Found<T>;
  static constexpr int64_t block = 1024;

  static void init(void* totals, int64_t count) {
    for (int64_t i = 0; i < count; i++) static_cast<Total*>(totals)[i] = {T{}, -1};
  }

  static void take(Total& total, T value, int64_t position) {
    if (total.position < 0 || replaces<Op>(value, total.value)) total = {value, position};
  }

  /** First position of `value` (or of NaN if it is NaN), which is known to be there. */
  static int64_t find(const T* in, int64_t n, T value) {
    constexpr int64_t step = 64;
    auto same = [value](T x) { return (x == value) | ((x != x) & (value != value)); };
    int64_t i = 0;
    for (; i + step <= n; i += step) {
      unsigned hits = 0;
      for (int64_t k = 0; k < step; k++) hits |= same(in[i + k]);
      if (hits) break;
    }
    while (i < n - 1 && !same(in[i])) i++;
    return i;
  }

  static void rows(const void* in, int64_t row_stride, int64_t n, int64_t count, int64_t first,
                   void* totals) {
    for (int64_t i = 0; i < count; i++) {
      const T* row = static_cast<const T*>(in) + i * row_stride;
      auto& total = static_cast<Total*>(totals)[i];
      for (int64_t b = 0; b < n; b += block) {
        int64_t size = smaller(n - b, block);
        T best = fold_values<Op>(row + b, size);
        if (total.position < 0 || replaces<Op>(best, total.value)) {
          total = {best, first + b + find(row + b, size, best)};
        }
      }
    }
  }

  static void columns(const void* in, int64_t row_stride, int64_t rows, int64_t width,
                      int64_t first, void* totals) {
    using Index = typename UnsignedOf<sizeof(T)>::type;
    auto* total = static_cast<Total*>(totals);
    T best[max_reduce_columns];
    Index at[max_reduce_columns];
    for (int64_t r = 0; r < rows; r += row_block) {
      const T* from = static_cast<const T*>(in) + r * row_stride;
      int64_t size = smaller(rows - r, row_block);
      __builtin_memcpy(best, from, width * sizeof(T));
      __builtin_memset(at, 0, width * sizeof(Index));
      for (int64_t k = 1; k < size; k++) {
        const T* __restrict row = from + k * row_stride;
        for (int64_t j = 0; j < width; j++) {
          bool better = replaces<Op>(row[j], best[j]);
          best[j] = better ? row[j] : best[j];
          at[j] = better ? static_cast<Index>(k) : at[j];
        }
      }
      for (int64_t j = 0; j < width; j++) {
        take(total[j], best[j], first + r + static_cast<int64_t>(at[j]));
      }
    }
  }

  static void merge(void* totals, const void* others, int64_t count) {
    auto* a = static_cast<Total*>(totals);
    auto* b = static_cast<const Total*>(others);
    for (int64_t i = 0; i < count; i++) {
      if (b[i].position >= 0) take(a[i], b[i].value, b[i].position);
    }
  }
};

// Rows of the table follow the order of Dtype::Val: bool, u8 to u64, i8 to i64, f16, f32, f64,
// bf16, c64, c128. Sums and products wrap, so they need only the unsigned types of 32 and 64 bits.
template <typename Op>
constexpr void fill_arithmetic(ReduceKernel* row) {
  row[3] = row[7] = kernel_of<Fold<Op, uint32_t>>();
  row[4] = row[8] = kernel_of<Fold<Op, uint64_t>>();
  row[10] = kernel_of<Fold<Op, float>>();
  row[11] = kernel_of<Fold<Op, double>>();
  row[13] = kernel_of<Fold<Op, Complex>>();
  row[14] = kernel_of<Fold<Op, WideComplex>>();
}

template <template <typename, typename> typename Kernel, typename Op>
constexpr void fill_ordered(ReduceKernel* row) {
  row[0] = row[1] = kernel_of<Kernel<Op, uint8_t>>();
  row[2] = kernel_of<Kernel<Op, uint16_t>>();
  row[3] = kernel_of<Kernel<Op, uint32_t>>();
  row[4] = kernel_of<Kernel<Op, uint64_t>>();
  row[5] = kernel_of<Kernel<Op, int8_t>>();
  row[6] = kernel_of<Kernel<Op, int16_t>>();
  row[7] = kernel_of<Kernel<Op, int32_t>>();
  row[8] = kernel_of<Kernel<Op, int64_t>>();
  row[10] = kernel_of<Kernel<Op, float>>();
  row[11] = kernel_of<Kernel<Op, double>>();
  row[13] = kernel_of<Kernel<Op, Complex>>();
  row[14] = kernel_of<Kernel<Op, WideComplex>>();
}

template <template <typename> typename Kernel>
constexpr void fill_real(ReduceKernel* row) {
  row[10] = kernel_of<Kernel<float>>();
  row[11] = kernel_of<Kernel<double>>();
}

constexpr ReduceKernelTable make_table() {
  ReduceKernelTable table = {};
  fill_arithmetic<SumOp>(table.kernels[0]);
  fill_arithmetic<ProdOp>(table.kernels[1]);
  fill_ordered<Fold, MaxOp>(table.kernels[2]);
  fill_ordered<Fold, MinOp>(table.kernels[3]);
  fill_real<MomentsKernel>(table.kernels[4]);
  fill_real<ExpSumKernel>(table.kernels[5]);
  fill_ordered<ArgKernel, MaxOp>(table.kernels[6]);
  fill_ordered<ArgKernel, MinOp>(table.kernels[7]);
  return table;
}

}  // namespace

const ReduceKernelTable& reduce_kernel_table() {
  static constexpr ReduceKernelTable table = make_table();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
