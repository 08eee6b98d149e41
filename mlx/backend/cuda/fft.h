// Fourier transforms on the GPU: the kernels around those of the library.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"

namespace mlx::core::cuda {

/** What rows are made of: the dtypes' elements, or complex numbers of two doubles. */
enum class RowType { single, real64, complex, wide_complex };

KernelCall convert_rows_call(RowType from, RowType to);

}  // namespace mlx::core::cuda
