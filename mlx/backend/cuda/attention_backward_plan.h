// Which kernels compute attention's gradients and how their work is dealt out. Needs no GPU.
#pragma once

#include "mlx/backend/cuda/attention_plan.h"
#include "mlx/backend/cuda/kernel_call.h"

namespace mlx::core::cuda {

/** One of the two passes: blocks of queries that go through keys, or the other way round. */
struct AttentionPass {
  KernelCall call;
  size_t shared_bytes;
  int64_t blocks, slices, section;
};

/** In this shape `general` means a mask alone: scales may be of any sign. The pass over queries
 *  comes first, since it finds the factors that the other one reads. */
struct AttentionBackwardPlan {
  AttentionPass queries, keys;
  KernelCall row_sums, sink_gradients;
};
constexpr int row_sums_rows = 8;  // of a block

AttentionBackwardPlan plan_attention_backward(const AttentionShape& shape,
                                              const AttentionDevice& device);

}  // namespace mlx::core::cuda
