// Permutation of axes: always a view.
#include "mlx/primitives/transpose.h"

#include "mlx/backend/cpu/registry.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

namespace {

void eval_transpose(Transpose& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  share_view(inputs[0], outputs[0], Transpose::permuted(inputs[0].strides(), primitive.axes()));
}

const Register<Transpose> transpose(eval_transpose);

}  // namespace

}  // namespace mlx::core::cpu
