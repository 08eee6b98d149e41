// Copies, reinterpretation of bytes, and nodes that pass their input on.
#include "mlx/primitives/layout.h"

#include "mlx/backend/common/layout.h"
#include "mlx/backend/cpu/combine.h"
#include "mlx/backend/cpu/copy.h"

namespace mlx::core {

void AsStrided::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  share_view(cpu::contiguous(inputs[0]), outputs[0], strides_, offset_);
}

void Copy::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  cpu::take_over(inputs[0], outputs[0]);
}

void Contiguous::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& in = inputs[0];
  if (in.flags().row_contiguous || (allow_col_major_ && in.flags().col_contiguous)) {
    outputs[0].copy_shared_buffer(in);
  } else {
    cpu::copy(in, outputs[0]);
  }
}

void View::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  if (auto strides = view_strides(inputs[0], out.itemsize())) {
    share_view(inputs[0], out, *strides);
    return;
  }
  array whole(inputs[0].shape(), inputs[0].dtype(), nullptr, {});
  cpu::copy(inputs[0], whole);
  share_view(whole, out, row_contiguous_strides(out.shape()));
}

void StopGradient::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  outputs[0].copy_shared_buffer(inputs[0]);
}

void Depends::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  for (size_t i = 0; i < outputs.size(); i++) {
    outputs[i].copy_shared_buffer(inputs[i]);
  }
}

void NumberOfElements::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  double count = 1;
  for (int axis : axes_) {
    count *= inputs[0].shape(axis);
  }
  count = inverted_ ? 1 / count : count;
  outputs[0].set_data(allocator::malloc(outputs[0].nbytes()));
  dispatch_dtype(dtype_, [&](auto tag) {
    using T = typename decltype(tag)::type;
    *outputs[0].data<T>() = static_cast<T>(static_cast<float>(count));
    if constexpr (std::is_arithmetic_v<T>) {
      *outputs[0].data<T>() = static_cast<T>(count);
    }
  });
}

}  // namespace mlx::core
