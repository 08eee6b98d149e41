// Copies, reinterpretation of bytes, and nodes that pass their input on.
#include "mlx/primitives/layout.h"

#include "mlx/backend/cpu/combine.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

namespace {

void eval_as_strided(AsStrided& primitive, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  share_view(contiguous(inputs[0]), outputs[0], primitive.strides(), primitive.offset());
}

void eval_copy(Copy&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  take_over(inputs[0], outputs[0]);
}

void eval_contiguous(Contiguous& primitive, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  const array& in = inputs[0];
  if (primitive.shares(in)) {
    outputs[0].copy_shared_buffer(in);
  } else {
    copy(in, outputs[0]);
  }
}

void eval_view(View&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  if (auto strides = view_strides(inputs[0], out.itemsize())) {
    share_view(inputs[0], out, *strides);
    return;
  }
  array whole(inputs[0].shape(), inputs[0].dtype(), nullptr, {});
  copy(inputs[0], whole);
  share_view(whole, out, row_contiguous_strides(out.shape()));
}

void eval_stop_gradient(StopGradient&, const std::vector<array>& inputs,
                        std::vector<array>& outputs) {
  outputs[0].copy_shared_buffer(inputs[0]);
}

void eval_depends(Depends&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  for (size_t i = 0; i < outputs.size(); i++) {
    outputs[i].copy_shared_buffer(inputs[i]);
  }
}

void eval_number_of_elements(NumberOfElements& primitive, const std::vector<array>& inputs,
                             std::vector<array>& outputs) {
  double count = 1;
  for (int axis : primitive.axes()) {
    count *= inputs[0].shape(axis);
  }
  count = primitive.inverted() ? 1 / count : count;
  outputs[0].set_data(allocator::malloc(outputs[0].nbytes()));
  dispatch_dtype(primitive.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    *outputs[0].data<T>() = static_cast<T>(static_cast<float>(count));
    if constexpr (std::is_arithmetic_v<T>) {
      *outputs[0].data<T>() = static_cast<T>(count);
    }
  });
}

const Register<AsStrided> as_strided(eval_as_strided);
const Register<Copy> copy(eval_copy);
const Register<Contiguous> contiguous(eval_contiguous);
const Register<View> view(eval_view);
const Register<StopGradient> stop_gradient(eval_stop_gradient);
const Register<Depends> depends(eval_depends);
const Register<NumberOfElements> number_of_elements(eval_number_of_elements);

}  // namespace

}  // namespace mlx::core::cpu
