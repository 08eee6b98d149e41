// The kernels of reads and writes under a mask on the GPU.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"

namespace mlx::core::cuda {

KernelCall count_true_call();
KernelCall sum_counts_call();

/** Of words of so many bytes; `single` where a row is one word. */
KernelCall select_rows_call(size_t word, bool single);
KernelCall scatter_rows_call(size_t word, bool single);

}  // namespace mlx::core::cuda
