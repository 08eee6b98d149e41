// Norms on the GPU: what one runs on, also for nodes that add in front or behind, and the kernels.
#pragma once

#include "mlx/backend/common/norm_operands.h"
#include "mlx/backend/cuda/held_row.h"
#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/core/program.h"
#include "mlx/primitives/fused.h"
#include "mlx/primitives/norm.h"

namespace mlx::core::cuda {

/** out = norm(x) or norm(x + residual), in one kernel that reads its rows once. */
void run_norm(const NormSpec& spec, const NormOperands& operands, const Stream& s);

/** Runs a norm behind the sum that makes its input (see is_residual_norm). */
void run_residual_norm(Fused& fused, const std::vector<array>& inputs, std::vector<array>& outputs);

/** Whether root and program are the gradients of a norm and the sum of the first of them with an
 *  array of its dtype, as of what flows past the norm. */
bool adds_to_norm_gradient(const Primitive& root, const Program& program);

/** Runs such a step. */
void run_added_norm_gradient(Fused& fused, const std::vector<array>& inputs,
                             std::vector<array>& outputs);

KernelCall norm_call(NormSpec::Kind kind, Dtype dtype, RowVariant variant);
/** How the blocks of another kernel make a single row (see RowMaker::text). */
std::string norm_row_text(NormSpec::Kind kind, Dtype dtype, RowVariant variant);
KernelCall norm_backward_call(NormSpec::Kind kind, Dtype dtype, RowVariant variant);
/** The gradients of weight and bias, from the sums that the backward call keeps of each strip. */
KernelCall norm_parameters_call(Dtype dtype);

}  // namespace mlx::core::cuda
