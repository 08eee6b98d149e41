// Nodes that exist for transforms hand on what their inputs hold.
#include "mlx/primitives/transforms.h"

#include "mlx/backend/cpu/registry.h"

namespace mlx::core::cpu {

namespace {

void eval_identity(Identity&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  outputs[0].copy_shared_buffer(inputs[0]);
}

void eval_custom_transforms(CustomTransforms& primitive, const std::vector<array>& inputs,
                            std::vector<array>& outputs) {
  for (size_t i = 0; i < outputs.size(); i++) {
    outputs[i].copy_shared_buffer(inputs[primitive.arguments() + i]);
  }
}

const Register<Identity> identity(eval_identity);
const Register<CustomTransforms> custom_transforms(eval_custom_transforms);

}  // namespace

}  // namespace mlx::core::cpu
