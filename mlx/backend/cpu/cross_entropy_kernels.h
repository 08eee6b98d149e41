// The row kernels of cross-entropy, in float and double.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

/** The sum of exp(x) over the values so far, as `sum` times exp(`shift`), `shift` their maximum. */
template <typename T>
struct ExponentialSum {
  T shift, sum;
  T extreme;  // infinity or NaN where values were that, else 0
};

template <typename T>
struct CrossEntropyKernel {
  /** The sum of no values, and what n >= 1 values add to it. */
  ExponentialSum<T> (*start)();
  void (*add)(const T* x, int64_t n, ExponentialSum<T>* sum);
  /** The shift and the logarithm of the sum. */
  void (*finish)(const ExponentialSum<T>& sum, T* parts);
  /** out = exp(x - parts[0] - parts[1]) * cotangent; `out` may be x. */
  void (*gradient)(const T* x, const T* parts, T cotangent, T* out, int64_t n);
};

struct CrossEntropyTable {
  CrossEntropyKernel<float> f32;
  CrossEntropyKernel<double> f64;
};

MLX_ISA_TABLE(CrossEntropyTable, cross_entropy_table)

}  // namespace mlx::core::cpu
