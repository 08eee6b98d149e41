// Nodes that keep row-major order: another shape over the same buffer where strides allow.
#include "mlx/primitives/shape.h"

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

namespace {

template <typename P>
void eval_reshape(P&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  if (auto strides = reshape_strides(inputs[0], out.shape())) {
    share_view(inputs[0], out, *strides);
  } else {
    share_view(contiguous(inputs[0]), out, row_contiguous_strides(out.shape()));
  }
}

const Register<Reshape> reshape(eval_reshape<Reshape>);
const Register<Flatten> flatten(eval_reshape<Flatten>);
const Register<Unflatten> unflatten(eval_reshape<Unflatten>);
const Register<Squeeze> squeeze(eval_reshape<Squeeze>);
const Register<ExpandDims> expand_dims(eval_reshape<ExpandDims>);

}  // namespace

}  // namespace mlx::core::cpu
