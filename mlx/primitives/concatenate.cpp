// Shape and transforms of concatenation.
#include "mlx/primitives/concatenate.h"

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"

namespace mlx::core {

Shape Concatenate::joined(const std::vector<array>& inputs, int axis) {
  Shape shape = inputs[0].shape();
  int64_t extent = 0;
  for (auto& in : inputs) {
    check(in.ndim() == shape.size(), "concatenate",
          "The arrays must have the same number of dimensions, got shapes ", shape, " and ",
          in.shape(), ".");
    for (int i = 0; i < static_cast<int>(shape.size()); i++) {
      check(i == axis || in.shape(i) == shape[i], "concatenate", "Shapes ", shape, " and ",
            in.shape(), " differ outside the concatenation axis ", axis, ".");
    }
    extent += in.shape(axis);
  }
  shape[axis] = checked_extent("concatenate", extent);
  return shape;
}

std::vector<array> Concatenate::vjp(const std::vector<array>& primals,
                                    const std::vector<array>& cotangents,
                                    const std::vector<int>& argnums, const std::vector<array>&) {
  std::vector<int> begins{0};
  for (auto& primal : primals) {
    begins.push_back(begins.back() + primal.shape(axis_));
  }
  std::vector<array> result;
  for (int i : argnums) {
    Shape start(primals[i].ndim(), 0), stop = cotangents[0].shape();
    start[axis_] = begins[i];
    stop[axis_] = begins[i + 1];
    result.push_back(slice(cotangents[0], start, stop, stream()));
  }
  return result;
}

std::vector<array> Concatenate::jvp(const std::vector<array>& primals,
                                    const std::vector<array>& tangents,
                                    const std::vector<int>& argnums) {
  std::vector<array> parts;
  for (size_t i = 0, k = 0; i < primals.size(); i++) {
    bool moves = k < argnums.size() && argnums[k] == static_cast<int>(i);
    parts.push_back(moves ? tangents[k++] : zeros_like(primals[i], stream()));
  }
  return {concatenate(parts, axis_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> Concatenate::vmap(const std::vector<array>& inputs,
                                                                  const std::vector<int>& axes) {
  int batch = batch_extent(inputs, axes);
  std::vector<array> batched;
  for (size_t i = 0; i < inputs.size(); i++) {
    batched.push_back(broadcast_batch_first(inputs[i], axes[i], batch, stream()));
  }
  return {{concatenate(batched, axis_ + 1, stream())}, {0}};
}

}  // namespace mlx::core
