// Slices are views; updates write into the source's buffer where nobody else needs it.
#include "mlx/primitives/slice.h"

#include <stdexcept>

#include "mlx/backend/common/layout.h"
#include "mlx/backend/cpu/combine.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/core/errors.h"

namespace mlx::core {

namespace {

// Offset of a dynamic slice of shape `size`. Throws when the slice would leave the array.
int64_t locate(const char* op, const array& a, const array& start, const std::vector<int>& axes,
               const Shape& size) {
  int64_t offset = 0;
  for (size_t k = 0; k < axes.size(); k++) {
    int axis = axes[k];
    int64_t room = a.shape()[axis] - size[axis];
    int64_t at = dispatch_dtype(start.dtype(), [&](auto tag) -> int64_t {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        T value = start.data<T>()[start.strides()[0] * static_cast<int64_t>(k)];
        bool inside = value >= 0 && static_cast<uint64_t>(value) <= static_cast<uint64_t>(room);
        return inside ? static_cast<int64_t>(value) : -1;
      }
      return -1;
    });
    if (at < 0) {
      throw std::out_of_range(error_message(op, "A slice of size ", size, " leaves axis ", axis,
                                            " of an array of shape ", a.shape(),
                                            ": its start is not in [0, ", room, "]."));
    }
    offset += at * a.strides()[axis];
  }
  return offset;
}

}  // namespace

std::pair<int64_t, Strides> SliceSpec::locate(const array& a) const {
  Shape first = resolve(a.shape()).first;
  Strides strides = a.strides();
  int64_t offset = 0;
  for (size_t i = 0; i < strides.size(); i++) {
    offset += first[i] * strides[i];
    strides[i] *= step[i];
  }
  return {offset, strides};
}

int64_t DynamicSliceUpdate::locate(const array& a, const array& start, const Shape& size) const {
  return core::locate("slice_update", a, start, axes_, size);
}

void Slice::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  if (outputs[0].size() == 0) {
    outputs[0].set_data(allocator::malloc(0));
    return;
  }
  auto [offset, strides] = spec_.locate(inputs[0]);
  share_view(inputs[0], outputs[0], strides, offset);
}

void SliceUpdate::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& update = inputs[1];
  array& out = outputs[0];
  cpu::take_over(inputs[0], out);
  if (update.size() == 0) {
    return;
  }
  auto [offset, strides] = spec_.locate(out);
  char* target = out.data<char>() + offset * static_cast<int64_t>(out.itemsize());
  cpu::combine_strided(mode_, out.dtype(), target, strides, update.data<char>(), update.strides(),
                       update.shape());
}

void DynamicSlice::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  int64_t offset = locate("slice", inputs[0], inputs[1], axes_, size_);
  if (outputs[0].size() == 0) {
    outputs[0].set_data(allocator::malloc(0));
    return;
  }
  share_view(inputs[0], outputs[0], inputs[0].strides(), offset);
}

void DynamicSliceUpdate::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& update = inputs[1];
  array& out = outputs[0];
  locate(inputs[0], inputs[2], update.shape());
  cpu::take_over(inputs[0], out);
  if (update.size() == 0) {
    return;
  }
  int64_t offset = locate(out, inputs[2], update.shape());
  char* target = out.data<char>() + offset * static_cast<int64_t>(out.itemsize());
  cpu::copy_strided(update.data<char>(), update.strides(), target, out.strides(), update.shape(),
                    out.itemsize());
}

void Split::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& in = inputs[0];
  auto parts = ranges(in.shape());
  for (size_t i = 0; i < parts.size(); i++) {
    if (outputs[i].size() == 0) {
      outputs[i].set_data(allocator::malloc(0));
      continue;
    }
    share_view(in, outputs[i], in.strides(), parts[i].first * in.strides()[axis_]);
  }
}

}  // namespace mlx::core
