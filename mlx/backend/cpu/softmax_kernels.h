// The softmax kernels: contiguous rows, or a tile of columns that stays in cache.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

/** Columns that one call may have. */
inline constexpr int64_t max_softmax_columns = 512;

template <typename T>
struct SoftmaxKernel {
  /** `count` rows of n values, one after the other; `in` may be `out`. */
  void (*rows)(const T* in, T* out, int64_t n, int64_t count);
  /** Columns of n values, `stride` apart; `in` may be `out`. */
  void (*columns)(const T* in, T* out, int64_t n, int64_t stride, int64_t width);
  /** out = y * (d - sum(d * y)) for each row; `out` may be d. */
  void (*jacobian)(const T* y, const T* d, T* out, int64_t n, int64_t count);
};

struct SoftmaxTable {
  SoftmaxKernel<float> f32;
  SoftmaxKernel<double> f64;
};

MLX_ISA_TABLE(SoftmaxTable, softmax_table)

}  // namespace mlx::core::cpu
