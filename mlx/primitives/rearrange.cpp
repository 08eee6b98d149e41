// Transforms of nodes that only move elements.
#include "mlx/primitives/rearrange.h"

#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

std::vector<array> Rearrangement::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                                      const std::vector<int>&) {
  return {apply(tangents[0])};
}

std::vector<array> Rearrangement::vjp(const std::vector<array>& primals,
                                      const std::vector<array>& cotangents, const std::vector<int>&,
                                      const std::vector<array>&) {
  return {transposed(cotangents[0], primals[0])};
}

std::pair<std::vector<array>, std::vector<int>> Rearrangement::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  if (axes[0] < 0) {
    return {{apply(inputs[0])}, {-1}};
  }
  return {{apply_to_batch(moveaxis(inputs[0], axes[0], 0, stream()))}, {0}};
}

std::vector<Shape> Rearrangement::output_shapes(const std::vector<array>& inputs) {
  return {output_shape(inputs[0])};
}

array batch_first(const array& a, int axis, Stream s) {
  return axis < 0 ? expand_dims(a, 0, s) : moveaxis(a, axis, 0, s);
}

array broadcast_batch_first(const array& a, int axis, int batch, Stream s) {
  if (axis >= 0) {
    return moveaxis(a, axis, 0, s);
  }
  Shape shape = a.shape();
  shape.insert(shape.begin(), batch);
  return broadcast_to(a, shape, s);
}

std::vector<array> all_batch_first(const std::vector<array>& inputs, const std::vector<int>& axes,
                                   int batch, Stream s) {
  std::vector<array> moved;
  for (size_t i = 0; i < inputs.size(); i++) {
    moved.push_back(broadcast_batch_first(inputs[i], axes[i], batch, s));
  }
  return moved;
}

int batch_extent(const std::vector<array>& inputs, const std::vector<int>& axes) {
  for (size_t i = 0; i < inputs.size(); i++) {
    if (axes[i] >= 0) {
      return inputs[i].shape(axes[i]);
    }
  }
  internal_check(false, "vmap of inputs without a batch axis");
  return 0;
}

}  // namespace mlx::core
