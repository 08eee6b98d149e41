// The row kernels of the norms, in float and double.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

template <typename T>
struct NormKernel {
  /** out = a + b; `out` may be one of them. */
  void (*add)(const T* a, const T* b, T* out, int64_t n);
  /** out = norm(x) * weight + bias for one row of n values; null parameters are left out. `out`
   *  may be x. `centre` subtracts the mean. */
  void (*forward)(const T* x, const T* weight, const T* bias, T* out, int64_t n, T eps,
                  bool centre);
  /** The gradient of x into `grad`, which may be `cotangent`; those of weight and bias are added
   *  to the given rows unless null. */
  void (*backward)(const T* x, const T* weight, const T* cotangent, T* grad, T* weight_grad,
                   T* bias_grad, int64_t n, T eps, bool centre);
};

struct NormTable {
  NormKernel<float> f32;
  NormKernel<double> f64;
};

MLX_ISA_TABLE(NormTable, norm_table)

}  // namespace mlx::core::cpu
