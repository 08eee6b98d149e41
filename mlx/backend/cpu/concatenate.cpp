// Concatenation: each input is copied to its place in the output.
#include "mlx/primitives/concatenate.h"

#include "mlx/backend/cpu/copy.h"

namespace mlx::core {

void Concatenate::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  int64_t begin = 0;
  for (auto& in : inputs) {
    if (in.size() > 0) {
      char* target = out.data<char>() + begin * out.strides()[axis_] * out.itemsize();
      cpu::copy_strided(in.data<char>(), in.strides(), target, out.strides(), in.shape(),
                        in.itemsize());
    }
    begin += in.shape(axis_);
  }
}

}  // namespace mlx::core
