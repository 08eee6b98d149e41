// The derivatives of the element-wise table.
#pragma once

#include <optional>
#include <vector>

#include "mlx/array.h"
#include "mlx/optable/elementwise.h"

namespace mlx::core {

/** forward: the tangent of the output. backward: the cotangent of the input. They differ for
 *  complex values only, where backward is the adjoint over the reals: for holomorphic f it
 *  multiplies by the conjugate of f', so that the gradient of sum(real(z*z)) is 2*conj(z). */
enum class Direction { forward, backward };

/**
 * The diagonal derivative of `op` by input `i`, applied to `g`: a tangent of that input (forward)
 * or a cotangent of the output (backward). The result broadcasts to the output's shape; `out` is
 * the op's output for `inputs`. Nothing where the derivative is zero everywhere, as for steps and
 * predicates. Nodes go to the default stream.
 */
std::optional<array> elementwise_rule(ElementwiseOp op, Direction direction, int i, const array& g,
                                      const std::vector<array>& inputs, const array& out);

}  // namespace mlx::core
