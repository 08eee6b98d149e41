// Padding: the output is filled around the array, which is copied into place.
#include "mlx/primitives/pad.h"

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"

namespace mlx::core::cpu {

namespace {

// Fills the part of `out` that begins at `first` and has shape `part`.
void fill(array& out, const array& value, const Shape& first, const Shape& part) {
  int64_t offset = 0;
  for (size_t i = 0; i < part.size(); i++) {
    if (part[i] == 0) {
      return;
    }
    offset += first[i] * out.strides()[i];
  }
  copy_strided(value.data<char>(), Strides(part.size(), 0),
               out.data<char>() + offset * static_cast<int64_t>(out.itemsize()), out.strides(),
               part, out.itemsize());
}

void eval_pad(Pad& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array &in = inputs[0], &value = inputs[1];
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  // The slabs before and after the array along each axis; along earlier axes only inside it.
  Shape first(out.ndim(), 0), part = out.shape();
  int64_t offset = 0;
  for (size_t i = 0; i < part.size(); i++) {
    part[i] = primitive.low()[i];
    fill(out, value, first, part);
    first[i] = primitive.low()[i] + in.shape(i);
    part[i] = primitive.high()[i];
    fill(out, value, first, part);
    first[i] = primitive.low()[i];
    part[i] = in.shape(i);
    offset += primitive.low()[i] * out.strides()[i];
  }
  if (in.size() > 0) {
    copy_strided(in.data<char>(), in.strides(),
                 out.data<char>() + offset * static_cast<int64_t>(out.itemsize()), out.strides(),
                 in.shape(), in.itemsize());
  }
}

const Register<Pad> pad(eval_pad);

}  // namespace

}  // namespace mlx::core::cpu
