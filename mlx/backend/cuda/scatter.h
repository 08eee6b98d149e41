// Scatters on the GPU: their kernels.
#pragma once

#include "mlx/backend/cuda/index.h"
#include "mlx/primitives/slice.h"

namespace mlx::core::cuda {

/** The operation and the type of elements as kernels take them. */
std::string update_types(UpdateMode mode, Dtype dtype);

/** The step that finds the last update of each element, or the one that writes it. */
KernelCall scatter_replace_call(const IndexVariant& variant, size_t word, bool claim);

/** Updates whose order does not matter, as they come. */
KernelCall scatter_combine_call(const IndexVariant& variant, UpdateMode mode, Dtype dtype);

/** Whether the result depends on the order of updates. */
bool needs_order(UpdateMode mode, Dtype dtype);

/** Combines the updates of each element in one order, so that the bits never vary. */
void scatter_in_order(const IndexWork& work, UpdateMode mode, const array& out, const Stream& s);

/** Few positions, in one step. */
KernelCall scatter_few_call(const IndexVariant& variant, UpdateMode mode, Dtype dtype);
/** The keys of positions; `key` is their type. */
KernelCall scatter_keys_call(const IndexVariant& variant, Dtype key);
/** Sorted updates; `first` where they are updates, not sums of them. */
KernelCall combine_sorted_call(UpdateMode mode, Dtype dtype, Dtype key, bool first, int width,
                               int index_rank, int slice_rank);

}  // namespace mlx::core::cuda
