// Shapes and transforms of gathers.
#include "mlx/primitives/gather.h"

#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/primitives/indices.h"

namespace mlx::core {

namespace {

std::vector<array> indices_of(const std::vector<array>& inputs) {
  return {inputs.begin() + 1, inputs.end()};
}

bool any_mapped(const std::vector<int>& axes) {
  return std::any_of(axes.begin() + 1, axes.end(), [](int axis) { return axis >= 0; });
}

}  // namespace

std::vector<array> batch_indices(std::vector<array> indices, const std::vector<int>& axes,
                                 Stream s) {
  size_t ndim = 0;
  for (size_t i = 0; i < indices.size(); i++) {
    ndim = std::max(ndim, indices[i].ndim() - (axes[i] >= 0));
  }
  for (size_t i = 0; i < indices.size(); i++) {
    if (axes[i] < 0) {
      continue;
    }
    array first = moveaxis(indices[i], axes[i], 0, s);
    Shape shape = first.shape();
    shape.insert(shape.begin() + 1, ndim + 1 - shape.size(), 1);
    indices[i] = reshape(first, shape, s);
  }
  return indices;
}

// ------------ Gather

Shape Gather::slice_of(const array& a) const {
  Shape sizes = slice_sizes_;
  bool fits = sizes.size() == a.ndim();
  for (size_t i = 0; fits && i < a.ndim(); i++) {
    sizes[i] = sizes[i] == -1 ? a.shape(i) : sizes[i];
    fits = sizes[i] >= 0 && sizes[i] <= a.shape(i);
  }
  check(fits, "gather", "Slices of size ", sizes, " do not fit an array of shape ", a.shape(), ".");
  return sizes;
}

std::vector<Shape> Gather::output_shapes(const std::vector<array>& inputs) {
  Shape shape;
  for (size_t i = 1; i < inputs.size(); i++) {
    shape = broadcast_shapes(shape, inputs[i].shape());
  }
  Shape sizes = slice_of(inputs[0]);
  shape.insert(shape.end(), sizes.begin(), sizes.end());
  return {shape};
}

std::vector<array> Gather::vjp(const std::vector<array>& primals,
                               const std::vector<array>& cotangents,
                               const std::vector<int>& argnums, const std::vector<array>&) {
  check_no_index("gather", argnums, 1, static_cast<int>(primals.size()));
  array zero = zeros_like(primals[0], stream());
  return {scatter_add(zero, indices_of(primals), cotangents[0], axes_, stream())};
}

std::vector<array> Gather::jvp(const std::vector<array>& primals,
                               const std::vector<array>& tangents,
                               const std::vector<int>& argnums) {
  check_no_index("gather", argnums, 1, static_cast<int>(primals.size()));
  return {gather(tangents[0], indices_of(primals), axes_, slice_of(primals[0]), stream())};
}

std::pair<std::vector<array>, std::vector<int>> Gather::vmap(const std::vector<array>& inputs,
                                                             const std::vector<int>& axes) {
  Stream s = stream();
  auto indices = indices_of(inputs);
  bool batched_indices = any_mapped(axes);
  if (batched_indices) {
    indices = batch_indices(indices, std::vector<int>(axes.begin() + 1, axes.end()), s);
  }
  if (axes[0] < 0) {
    return {{gather(inputs[0], indices, axes_, slice_of(inputs[0]), s)}, {0}};
  }
  array a = moveaxis(inputs[0], axes[0], 0, s);
  std::vector<int> gather_axes = axes_;
  for (int& axis : gather_axes) {
    axis++;
  }
  Shape sizes = slice_sizes_;
  sizes.insert(sizes.begin(), a.shape(0));
  for (size_t i = 0; i < sizes.size(); i++) {
    sizes[i] = sizes[i] == -1 ? a.shape(i) : sizes[i];
  }
  if (!batched_indices) {
    array out = gather(a, indices, gather_axes, sizes, s);
    return {{out}, {static_cast<int>(out.ndim() - sizes.size())}};
  }
  // Both are batched: the batch becomes one more indexed axis.
  size_t ndim = 0;
  for (auto& index : indices) {
    ndim = std::max(ndim, index.ndim());
  }
  Shape along(ndim, 1);
  along[0] = a.shape(0);
  indices.insert(indices.begin(), reshape(arange(a.shape(0), s), along, s));
  gather_axes.insert(gather_axes.begin(), 0);
  sizes[0] = 1;
  array out = gather(a, indices, gather_axes, sizes, s);
  return {{squeeze(out, static_cast<int>(ndim), s)}, {0}};
}

// ------------ GatherAxis

std::vector<Shape> GatherAxis::output_shapes(const std::vector<array>& inputs) {
  Shape shape = shape_along_axis("take_along_axis", inputs[0], inputs[1], axis_);
  Shape source = shape;
  source[axis_] = inputs[0].shape(axis_);
  check(source == inputs[0].shape(), "take_along_axis", "Indices of shape ", inputs[1].shape(),
        " do not broadcast to the array of shape ", inputs[0].shape(), ".");
  return {shape};
}

std::vector<array> GatherAxis::vjp(const std::vector<array>& primals,
                                   const std::vector<array>& cotangents,
                                   const std::vector<int>& argnums, const std::vector<array>&) {
  check_no_index("take_along_axis", argnums, 1, 1);
  array zero = zeros_like(primals[0], stream());
  return {scatter_add_axis(zero, primals[1], cotangents[0], axis_, stream())};
}

std::vector<array> GatherAxis::jvp(const std::vector<array>& primals,
                                   const std::vector<array>& tangents,
                                   const std::vector<int>& argnums) {
  check_no_index("take_along_axis", argnums, 1, 1);
  return {take_along_axis(tangents[0], primals[1], axis_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> GatherAxis::vmap(const std::vector<array>& inputs,
                                                                 const std::vector<int>& axes) {
  array a = batch_first(inputs[0], axes[0], stream());
  array indices = batch_first(inputs[1], axes[1], stream());
  return {{take_along_axis(a, indices, axis_ + 1, stream())}, {0}};
}

}  // namespace mlx::core
