// Norms on the GPU: what one runs on, also for nodes that add a residual in front, and the kernels.
#pragma once

#include "mlx/backend/common/norm_operands.h"
#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/primitives/fused.h"
#include "mlx/primitives/norm.h"

namespace mlx::core::cuda {

/** out = norm(x) or norm(x + residual), in one kernel that reads its rows once. */
void run_norm(const NormSpec& spec, const NormOperands& operands, const Stream& s);

/** Runs a norm behind the sum that makes its input (see is_residual_norm). */
void run_residual_norm(Fused& fused, const std::vector<array>& inputs, std::vector<array>& outputs);

/** How a row is spread over the registers of 32 or 256 threads: `packs` times `width` neighbours
 *  each; rows of 0 packs are too long for that. */
struct NormVariant {
  int lanes, width, packs;
};

/** For rows of `length`; `wide` where 16 bytes can be moved at a time. */
NormVariant norm_variant(Dtype dtype, int64_t length, bool wide);

KernelCall norm_call(NormSpec::Kind kind, Dtype dtype, NormVariant variant);
KernelCall norm_backward_call(NormSpec::Kind kind, Dtype dtype, NormVariant variant);
/** The gradients of weight and bias, from the sums that the backward call keeps of each strip. */
KernelCall norm_parameters_call(Dtype dtype);

}  // namespace mlx::core::cuda
