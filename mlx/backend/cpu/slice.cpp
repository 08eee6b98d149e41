// Slices are views; updates write into the source's buffer where nobody else needs it.
#include "mlx/primitives/slice.h"

#include "mlx/backend/common/slice.h"
#include "mlx/backend/cpu/combine.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

namespace {

// Offset of a dynamic slice of shape `size`. Throws when the slice would leave the array.
void eval_slice(Slice& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  if (outputs[0].size() == 0) {
    outputs[0].set_data(allocator::malloc(0));
    return;
  }
  auto [offset, strides] = primitive.spec().locate(inputs[0]);
  share_view(inputs[0], outputs[0], strides, offset);
}

void eval_slice_update(SliceUpdate& primitive, const std::vector<array>& inputs,
                       std::vector<array>& outputs) {
  const array& update = inputs[1];
  array& out = outputs[0];
  take_over(inputs[0], out);
  if (update.size() == 0) {
    return;
  }
  auto [offset, strides] = primitive.spec().locate(out);
  char* target = out.data<char>() + offset * static_cast<int64_t>(out.itemsize());
  combine_strided(primitive.mode(), out.dtype(), target, strides, update.data<char>(),
                  update.strides(), update.shape());
}

void eval_dynamic_slice(DynamicSlice& primitive, const std::vector<array>& inputs,
                        std::vector<array>& outputs) {
  int64_t offset =
      start_of_slice("slice", inputs[0], inputs[1], primitive.axes(), primitive.size());
  if (outputs[0].size() == 0) {
    outputs[0].set_data(allocator::malloc(0));
    return;
  }
  share_view(inputs[0], outputs[0], inputs[0].strides(), offset);
}

void eval_dynamic_slice_update(DynamicSliceUpdate& primitive, const std::vector<array>& inputs,
                               std::vector<array>& outputs) {
  const array& update = inputs[1];
  array& out = outputs[0];
  start_of_slice("slice_update", inputs[0], inputs[2], primitive.axes(), update.shape());
  take_over(inputs[0], out);
  if (update.size() == 0) {
    return;
  }
  int64_t offset = start_of_slice("slice_update", out, inputs[2], primitive.axes(), update.shape());
  char* target = out.data<char>() + offset * static_cast<int64_t>(out.itemsize());
  copy_strided(update.data<char>(), update.strides(), target, out.strides(), update.shape(),
               out.itemsize());
}

void eval_split(Split& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& in = inputs[0];
  auto parts = primitive.ranges(in.shape());
  for (size_t i = 0; i < parts.size(); i++) {
    if (outputs[i].size() == 0) {
      outputs[i].set_data(allocator::malloc(0));
      continue;
    }
    share_view(in, outputs[i], in.strides(), parts[i].first * in.strides()[primitive.axis()]);
  }
}

const Register<Slice> slice(eval_slice);
const Register<SliceUpdate> slice_update(eval_slice_update);
const Register<DynamicSlice> dynamic_slice(eval_dynamic_slice);
const Register<DynamicSliceUpdate> dynamic_slice_update(eval_dynamic_slice_update);
const Register<Split> split(eval_split);

}  // namespace

}  // namespace mlx::core::cpu
