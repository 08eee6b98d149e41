// The kernels of batch normalisation over rows of channels, in float and double.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

template <typename T>
struct BatchNormKernel {
  /** For each channel the sums of x - x[0] and of its square over all rows. The first row keeps the
   *  squares near the variance, however far the mean is. */
  void (*moments)(const T* x, int64_t rows, int64_t channels, T* sums, T* squares);
  /** out = (x - mean) * scale + shift. */
  void (*normalise)(const T* x, const T* mean, const T* scale, const T* shift, int64_t rows,
                    int64_t channels, T* out);
  /** For each channel the sums of y and of (x - mean) * y over all rows. */
  void (*products)(const T* x, const T* mean, const T* y, int64_t rows, int64_t channels, T* sums,
                   T* products);
  /** out = y * scale + (x - mean) * slope + shift; out may be y. */
  void (*gradient)(const T* x, const T* mean, const T* y, const T* scale, const T* slope,
                   const T* shift, int64_t rows, int64_t channels, T* out);
};

struct BatchNormTable {
  BatchNormKernel<float> f32;
  BatchNormKernel<double> f64;
};

MLX_ISA_TABLE(BatchNormTable, batch_norm_table)

}  // namespace mlx::core::cpu
