// Kernels of the blocked transpose.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

struct TransposeKernels {
  /** out[c * out_stride + r] = in[r * in_stride + c] for r < rows, c < columns; strides in elements
   *  of 1, 2, 4, 8 and 16 bytes, in this order. */
  void (*at[5])(void* out, int64_t out_stride, const void* in, int64_t in_stride, int64_t rows,
                int64_t columns);
};

MLX_ISA_TABLE(TransposeKernels, transpose_kernels)

}  // namespace mlx::core::cpu
