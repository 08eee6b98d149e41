// What the reduction driver and its kernels agree on: one kernel per operation and compute type,
// merging runs of contiguous values into totals. Totals of one kernel have one size, and any two
// partial totals of the same output merge, so the driver may cut the work wherever it likes.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"
#include "mlx/dtype.h"

namespace mlx::core::cpu {

enum class ReduceKernelOp : uint8_t { Sum, Prod, Max, Min, Moments, ExpSum, ArgMax, ArgMin };
inline constexpr int reduce_kernel_op_count = 8;

struct ReduceKernel {
  int64_t total_size;
  /** Sets `count` totals to the operation's identity. */
  void (*init)(void* totals, int64_t count);
  /** totals[i] takes in the n values at in + i * row_stride; `first` is the position of the first
   *  value of each row (for ArgMax and ArgMin). */
  void (*rows)(const void* in, int64_t row_stride, int64_t n, int64_t count, int64_t first,
               void* totals);
  /** totals[j] takes in column j of `rows` rows of `width` values; `first`: number of row 0. */
  void (*columns)(const void* in, int64_t row_stride, int64_t rows, int64_t width, int64_t first,
                  void* totals);
  /** totals[i] takes in others[i], whose values come later. */
  void (*merge)(void* totals, const void* others, int64_t count);
};

/** Columns that one call may have. */
inline constexpr int64_t max_reduce_columns = 1024;

struct ReduceKernelTable {
  ReduceKernel kernels[reduce_kernel_op_count][Dtype::count];
};

MLX_ISA_TABLE(ReduceKernelTable, reduce_kernel_table)

}  // namespace mlx::core::cpu
