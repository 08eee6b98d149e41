// Nodes about layout on the GPU: views where strides allow, else copies.
#include <optional>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/concatenate.h"
#include "mlx/primitives/layout.h"
#include "mlx/primitives/pad.h"
#include "mlx/primitives/shape.h"

namespace mlx::core::cuda {

namespace {

template <typename P>
void eval_reshape(P& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  if (auto strides = reshape_strides(inputs[0], out.shape())) {
    share_view(inputs[0], out, *strides);
  } else {
    share_view(contiguous(inputs[0], primitive.stream()), out, row_contiguous_strides(out.shape()));
  }
}

void eval_as_strided(AsStrided& primitive, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  share_view(contiguous(inputs[0], primitive.stream()), outputs[0], primitive.strides(),
             static_cast<int64_t>(primitive.offset()));
}

void eval_copy(Copy& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  take_over(inputs[0], outputs[0], primitive.stream());
}

void eval_contiguous(Contiguous& primitive, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  const array& in = inputs[0];
  if (primitive.shares(in)) {
    outputs[0].copy_shared_buffer(in);
  } else {
    copy(in, outputs[0], primitive.stream());
  }
}

void eval_view(View& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  if (auto strides = view_strides(inputs[0], out.itemsize())) {
    share_view(inputs[0], out, *strides);
    return;
  }
  array whole(inputs[0].shape(), inputs[0].dtype(), nullptr, {});
  copy(inputs[0], whole, primitive.stream());
  share_view(whole, out, row_contiguous_strides(out.shape()));
}

char* shifted(array& out, int64_t elements) {
  return static_cast<char*>(output_address(out)) + elements * static_cast<int64_t>(out.itemsize());
}

/** Whether the inputs lie side by side in one buffer, as parts of a dense array: they are the
 *  result already. */
bool are_neighbours(const std::vector<array>& inputs, int axis, const array& out) {
  Strides strides = row_contiguous_strides(out.shape());
  int64_t next = inputs[0].offset();
  for (const auto& in : inputs) {
    if (in.size() == 0 || in.offset() != next ||
        in.data_shared_ptr() != inputs[0].data_shared_ptr()) {
      return false;
    }
    for (size_t i = 0; i < strides.size(); i++) {
      if (in.shape()[i] > 1 && in.strides()[i] != strides[i]) return false;
    }
    next += in.shape(axis) * strides[static_cast<size_t>(axis)];
  }
  return true;
}

void eval_concatenate(Concatenate& primitive, const std::vector<array>& inputs,
                      std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  if (are_neighbours(inputs, primitive.axis(), out)) {
    share_view(inputs[0], out, row_contiguous_strides(out.shape()));
    return;
  }
  allocate_output(out, s);
  int64_t begin = 0;
  for (const auto& in : inputs) {
    if (in.size() > 0) {
      copy_strided(input_address(in, s), in.strides(),
                   shifted(out, begin * out.strides()[primitive.axis()]), out.strides(), in.shape(),
                   in.itemsize(), s);
    }
    begin += in.shape(primitive.axis());
  }
}

/** Fills the part of `out` that begins at `first` and has shape `part`. */
void fill(array& out, const array& value, const Shape& first, const Shape& part, const Stream& s) {
  int64_t offset = 0;
  for (size_t i = 0; i < part.size(); i++) {
    if (part[i] == 0) {
      return;
    }
    offset += first[i] * out.strides()[i];
  }
  copy_strided(input_address(value, s), Strides(part.size(), 0), shifted(out, offset),
               out.strides(), part, out.itemsize(), s);
}

// The slabs before and after the array along each axis; along earlier axes only inside it.
void eval_pad(Pad& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array &in = inputs[0], &value = inputs[1];
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  Shape first(out.ndim(), 0), part = out.shape();
  int64_t offset = 0;
  for (size_t i = 0; i < part.size(); i++) {
    int low = primitive.low()[i];
    part[i] = low;
    fill(out, value, first, part, s);
    first[i] = low + in.shape(static_cast<int>(i));
    part[i] = primitive.high()[i];
    fill(out, value, first, part, s);
    first[i] = low;
    part[i] = in.shape(static_cast<int>(i));
    offset += low * out.strides()[i];
  }
  if (in.size() > 0) {
    copy_strided(input_address(in, s), in.strides(), shifted(out, offset), out.strides(),
                 in.shape(), in.itemsize(), s);
  }
}

const Register<Reshape> reshape(eval_reshape<Reshape>);
const Register<Flatten> flatten(eval_reshape<Flatten>);
const Register<AsStrided> as_strided(eval_as_strided);
const Register<Copy> copies(eval_copy);
const Register<Contiguous> contiguous_copies(eval_contiguous);
const Register<View> views(eval_view);
const Register<Concatenate> concatenate(eval_concatenate);
const Register<Pad> pad(eval_pad);

}  // namespace

}  // namespace mlx::core::cuda
