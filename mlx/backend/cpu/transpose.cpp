// Permutation of axes: always a view.
#include "mlx/primitives/transpose.h"

#include "mlx/backend/cpu/registry.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

namespace {

void eval_transpose(Transpose& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  Strides strides;
  for (int axis : primitive.axes()) {
    strides.push_back(inputs[0].strides()[axis]);
  }
  share_view(inputs[0], outputs[0], strides);
}

const Register<Transpose> transpose(eval_transpose);

}  // namespace

}  // namespace mlx::core::cpu
