// Order on the GPU as several primitives use it.
#pragma once

#include "mlx/array.h"
#include "mlx/backend/cuda/kernel_call.h"

namespace mlx::core::cuda {

/** out = the sorted rows, each so long, of a row-contiguous array that is not empty, or with
 *  `positions` where their values were. `out` has memory. */
void sort_rows(const array& in, int64_t length, array& out, bool positions, const Stream& s);

/** Whether a block sorts such a row by itself, in one pass over memory. */
bool sorts_in_block(Dtype dtype, int64_t length);

/** The keys of a row-contiguous array that is not empty in order, as one row, and where they were.
 *  -0 equals 0. */
void sort_keys(const array& in, void* keys, uint32_t* positions, const Stream& s);

// The kernels.
KernelCall short_sort_call(Dtype dtype, bool positions, int threads);
KernelCall digit_count_call(Dtype dtype, bool joins_zeros);
KernelCall digit_sort_call(Dtype dtype, bool positions, bool wide);

}  // namespace mlx::core::cuda
