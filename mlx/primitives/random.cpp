// How transforms see random bits.
#include "mlx/primitives/random.h"

#include "mlx/ops.h"

namespace mlx::core {

Dtype RandomBits::dtype_of(int width) { return width == 1 ? uint8 : width == 2 ? uint16 : uint32; }

std::vector<Shape> RandomBits::output_shapes(const std::vector<array>& inputs) {
  Shape out(inputs[0].shape().begin(), inputs[0].shape().end() - 1);
  out.insert(out.end(), shape_.begin(), shape_.end());
  return {out};
}

std::vector<array> RandomBits::jvp(const std::vector<array>& primals, const std::vector<array>&,
                                   const std::vector<int>&) {
  return {zeros(output_shapes(primals)[0], dtype_of(width_), stream())};
}

std::vector<array> RandomBits::vjp(const std::vector<array>& primals, const std::vector<array>&,
                                   const std::vector<int>&, const std::vector<array>&) {
  return {zeros_like(primals[0], stream())};
}

std::pair<std::vector<array>, std::vector<int>> RandomBits::vmap(const std::vector<array>& inputs,
                                                                 const std::vector<int>& axes) {
  array keys = axes[0] > 0 ? moveaxis(inputs[0], axes[0], 0, stream()) : inputs[0];
  auto out = array(output_shapes({keys})[0], dtype_of(width_),
                   std::make_shared<RandomBits>(stream(), shape_, width_), {keys});
  return {{out}, {axes[0] < 0 ? -1 : 0}};
}

}  // namespace mlx::core
