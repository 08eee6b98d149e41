// Matrix products on the GPU: what may run behind one and beside it.
#pragma once

#include <vector>

#include "mlx/core/program.h"
#include "mlx/primitives.h"
#include "mlx/primitives/fused.h"
#include "mlx/primitives/joined.h"

namespace mlx::core::cuda {

/** Whether root and program are a product of floats and its maximum with zero, which the library
 * that multiplies does as it stores. */
bool rectifies_product(const Primitive& root, const Program& program,
                       const std::vector<bool>& zeros);

/** Runs such a step. */
void run_rectified_product(Fused& step, const std::vector<array>& inputs,
                           std::vector<array>& outputs);

/** Whether a product and a reduction of one of its operands may run as one step. */
bool sums_with_product(const Primitive& product, const Primitive& reduction, Dtype type);

/** Runs products of one sort that read the same rows: together if these are few; or a product
 *  and a reduction of an operand: together if the library does that, and faster. */
void run_joined_products(const std::vector<JoinedPart>& parts, const Stream& s);

}  // namespace mlx::core::cuda
