// Kernels of the plain folds (sum, prod, max, min), and the block folds that the other reduction
// kernels build on. For inclusion in *.isa.cpp only.
#pragma once

#include "mlx/backend/cpu/reduce_kernels.h"
#include "mlx/kernels/reduce.h"
#include "mlx/kernels/vector.h"

namespace mlx::core::cpu::MLX_ISA {
namespace {

using namespace kernels;

/** Values that fold in the compute type before they merge into a total: with 8 registers of lanes
 *  a lane of float adds few values, so a block's sum is off by about 2^-24 * 40 at most. */
constexpr int64_t fold_block = 4096;
/** Rows that columns fold in the compute type before they merge. */
constexpr int64_t row_block = 64;

/** Fold of n >= 1 contiguous values in the compute type. */
template <typename Op, typename T>
T fold_values(const T* in, int64_t n) {
  constexpr int64_t width = lanes<T>;
  constexpr int accumulators = 8;
  Op op;
  if (n < width) {
    T result = in[0];
    for (int64_t i = 1; i < n; i++) result = op.apply(result, in[i]);
    return result;
  }
  Pack<T> total = load_pack(in);
  int64_t i = width;
  if (n >= accumulators * width) {
    Pack<T> part[accumulators];
#pragma GCC unroll 8
    for (int k = 0; k < accumulators; k++) part[k] = load_pack(in + k * width);
    for (i = accumulators * width; i + accumulators * width <= n; i += accumulators * width) {
#pragma GCC unroll 8
      for (int k = 0; k < accumulators; k++) {
        part[k] = op.apply(part[k], load_pack(in + i + k * width));
      }
    }
#pragma GCC unroll 8
    for (int k = 0; k < 4; k++) part[k] = op.apply(part[k], part[k + 4]);
    total = op.apply(op.apply(part[0], part[1]), op.apply(part[2], part[3]));
  }
  for (; i + width <= n; i += width) total = op.apply(total, load_pack(in + i));
  T lane[width];
  __builtin_memcpy(lane, &total, sizeof(lane));
  for (int64_t step = width / 2; step > 0; step /= 2) {
    for (int64_t k = 0; k < step; k++) lane[k] = op.apply(lane[k], lane[k + step]);
  }
  T result = lane[0];
  for (; i < n; i++) result = op.apply(result, in[i]);
  return result;
}

/** Sum of f(i) for i < n, with many lanes. */
template <typename T, typename F>
T map_sum(int64_t n, F f) {
  constexpr int64_t width = 4 * lanes<T>;
  T part[width] = {};
  int64_t i = 0;
  for (; i + width <= n; i += width) {
    for (int64_t k = 0; k < width; k++) part[k] += f(i + k);
  }
  T tail = 0;
  for (; i < n; i++) tail += f(i);
  return tail + fold_values<SumOp>(part, width);
}

/** acc[j] = fold of column j over `rows` >= 1 rows. */
template <typename Op, typename T>
void fold_columns(const T* in, int64_t row_stride, int64_t rows, int64_t width, T* __restrict acc) {
  constexpr int64_t step = lanes<T>;
  Op op;
  __builtin_memcpy(acc, in, width * sizeof(T));
  int64_t r = 1;
  for (; r + 4 <= rows; r += 4) {
    const T* a = in + r * row_stride;
    const T *b = a + row_stride, *c = b + row_stride, *d = c + row_stride;
    int64_t j = 0;
    for (; j + step <= width; j += step) {
      auto ab = op.apply(load_pack(a + j), load_pack(b + j));
      auto cd = op.apply(load_pack(c + j), load_pack(d + j));
      store_pack(acc + j, op.apply(load_pack(acc + j), op.apply(ab, cd)));
    }
    for (; j < width; j++) {
      acc[j] = op.apply(acc[j], op.apply(op.apply(a[j], b[j]), op.apply(c[j], d[j])));
    }
  }
  for (; r < rows; r++) {
    const T* a = in + r * row_stride;
    int64_t j = 0;
    for (; j + step <= width; j += step) {
      store_pack(acc + j, op.apply(load_pack(acc + j), load_pack(a + j)));
    }
    for (; j < width; j++) acc[j] = op.apply(acc[j], a[j]);
  }
}

template <typename Op, typename T>
constexpr typename Op::template Total<T> fold_identity() {
  using Total = typename Op::template Total<T>;
  if constexpr (is_same<Op, SumOp>) {
    return Total{};
  } else if constexpr (is_same<Op, ProdOp>) {
    if constexpr (is_same<Total, WideComplex>) {
      return {1.0, 0.0};
    } else {
      return Total(1);
    }
  } else {
    constexpr bool lowest = is_same<Op, MaxOp>;
    if constexpr (is_complex<T>) {
      constexpr auto end = static_cast<RealOf<T>>(lowest ? -inf_d : inf_d);
      return {end, end};
    } else if constexpr (is_float<T>) {
      return static_cast<T>(lowest ? -inf_d : inf_d);
    } else if constexpr (is_signed<T>) {
      constexpr T top = static_cast<T>((uint64_t(1) << (8 * sizeof(T) - 1)) - 1);
      return lowest ? static_cast<T>(-top - 1) : top;
    } else {
      return lowest ? T(0) : static_cast<T>(-1);
    }
  }
}

template <typename Op, typename T>
struct Fold {
  using Total = typename Op::template Total<T>;

  static void init(void* totals, int64_t count) {
    constexpr Total identity = fold_identity<Op, T>();
    for (int64_t i = 0; i < count; i++) static_cast<Total*>(totals)[i] = identity;
  }

  static void rows(const void* in, int64_t row_stride, int64_t n, int64_t count, int64_t,
                   void* totals) {
    for (int64_t i = 0; i < count; i++) {
      const T* row = static_cast<const T*>(in) + i * row_stride;
      Total total = static_cast<Total*>(totals)[i];
      for (int64_t b = 0; b < n; b += fold_block) {
        int64_t size = n - b < fold_block ? n - b : fold_block;
        total = Op().apply(total, widen<Total>(fold_values<Op>(row + b, size)));
      }
      static_cast<Total*>(totals)[i] = total;
    }
  }

  static void columns(const void* in, int64_t row_stride, int64_t rows, int64_t width, int64_t,
                      void* totals) {
    auto* __restrict total = static_cast<Total*>(totals);
    T acc[max_reduce_columns];
    for (int64_t r = 0; r < rows; r += row_block) {
      int64_t size = rows - r < row_block ? rows - r : row_block;
      fold_columns<Op>(static_cast<const T*>(in) + r * row_stride, row_stride, size, width, acc);
      for (int64_t j = 0; j < width; j++) total[j] = Op().apply(total[j], widen<Total>(acc[j]));
    }
  }

  static void merge(void* totals, const void* others, int64_t count) {
    auto* a = static_cast<Total*>(totals);
    auto* b = static_cast<const Total*>(others);
    for (int64_t i = 0; i < count; i++) a[i] = Op().apply(a[i], b[i]);
  }
};

template <typename Kernel>
constexpr ReduceKernel kernel_of() {
  return {sizeof(typename Kernel::Total), Kernel::init, Kernel::rows, Kernel::columns,
          Kernel::merge};
}

}  // namespace
}  // namespace mlx::core::cpu::MLX_ISA
