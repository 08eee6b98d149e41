// The kernels of reductions on the GPU.
#pragma once

#include <string>

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/primitives/reduce.h"

namespace mlx::core::cuda {

/** What is folded: a type of the kernels with the dtypes of elements and results. */
struct Folding {
  std::string name;
  Dtype in, out;
};

Folding reduce_folding(ReduceOp op, Dtype in, Dtype out);
Folding position_folding(bool largest, Dtype in);

/** The number of axes that results and what is folded walk in memory. */
struct ReduceRanks {
  int kept, reduced;
};

/** Neighbouring lanes share a row; with `dense` its elements are neighbours. */
KernelCall reduce_rows_call(const Folding& folding, int lanes, bool dense, ReduceRanks ranks);
/** Neighbouring lanes take `width` neighbouring columns each. */
KernelCall reduce_columns_call(const Folding& folding, int64_t width, ReduceRanks ranks);
/** Results from the totals of chunks. */
KernelCall merge_chunks_call(const Folding& folding, ReduceRanks ranks);

}  // namespace mlx::core::cuda
