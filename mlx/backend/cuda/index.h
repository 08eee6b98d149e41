// The kernels of gathers and scatters on the GPU.
#pragma once

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/backend/cuda/kernels/fault.h"
#include "mlx/primitives/slice.h"

namespace mlx::core::cuda {

/** What a kernel of this family is compiled for: who reports, and how much there is to walk. */
struct IndexVariant {
  kernels::FaultOp op;
  size_t sources;
  int index_rank, slice_rank;
};

KernelCall gather_call(const IndexVariant& variant, size_t word);
/** The step that finds the last update of each element, or the one that writes it. */
KernelCall scatter_replace_call(const IndexVariant& variant, size_t word, bool claim);
KernelCall scatter_combine_call(const IndexVariant& variant, UpdateMode mode, Dtype dtype);

}  // namespace mlx::core::cuda
