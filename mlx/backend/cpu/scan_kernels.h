// What the scan driver and its kernels agree on. Kernels work on one compute type: storage for
// integers, float64 and complex64, float32 for the half types.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"
#include "mlx/dtype.h"

namespace mlx::core::cpu {

inline constexpr int scan_op_count = 5;

struct ScanKernel {
  /** Sets n values to the identity of the operation. */
  void (*fill)(void* out, int64_t n);
  /** out[i] = carry + in[0] + ... + in[i], and carry becomes the last one. */
  void (*forward)(const void* in, void* out, int64_t n, void* carry);
  /** The same from the last value to the first. */
  void (*backward)(const void* in, void* out, int64_t n, void* carry);
  /** Row by row: acc[j] takes in row[j], and is written to the row of `out`. */
  void (*columns)(const void* in, int64_t in_stride, void* out, int64_t out_stride, int64_t rows,
                  int64_t width, void* acc);
  /** carry takes in all n values. */
  void (*total)(const void* in, int64_t n, void* carry);
};

struct ScanTable {
  ScanKernel kernels[scan_op_count][Dtype::count];
};

MLX_ISA_TABLE(ScanTable, scan_table)

}  // namespace mlx::core::cpu
