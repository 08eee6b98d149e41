// Derivatives and batching of the ordering primitives: values move, so derivatives move with them.
#include "mlx/primitives/sort.h"

#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

std::vector<array> OrderPrimitive::vjp(const std::vector<array>& primals,
                                       const std::vector<array>& cotangents,
                                       const std::vector<int>&, const std::vector<array>&) {
  const array& x = primals[0];
  array zeros_of_x = zeros_like(x, stream());
  if (positions_) {
    return {zeros_of_x};
  }
  return {put_along_axis(zeros_of_x, apply(x, true), cotangents[0], -1, stream())};
}

std::vector<array> OrderPrimitive::jvp(const std::vector<array>& primals,
                                       const std::vector<array>& tangents,
                                       const std::vector<int>&) {
  const array& x = primals[0];
  if (positions_) {
    return {zeros(x.shape(), uint32, stream())};
  }
  return {take_along_axis(tangents[0], apply(x, true), -1, stream())};
}

std::pair<std::vector<array>, std::vector<int>> OrderPrimitive::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  bool is_last = axes[0] == static_cast<int>(inputs[0].ndim()) - 1;
  array x = is_last ? moveaxis(inputs[0], axes[0], 0, stream()) : inputs[0];
  return {{apply(x, positions_)}, {is_last ? 0 : axes[0]}};
}

array Sort::apply(const array& x, bool positions) const {
  return array(x.shape(), positions ? uint32 : x.dtype(),
               std::make_shared<Sort>(stream(), positions), {x});
}

std::vector<Shape> Partition::output_shapes(const Arrays& inputs) {
  const Shape& shape = inputs[0].shape();  // perhaps not the one that it was made for
  check(kth_ < shape.back(), name(), "Element ", kth_, " of the last axis of shape ", shape,
        " does not exist.");
  return {shape};
}

array Partition::apply(const array& x, bool positions) const {
  return array(x.shape(), positions ? uint32 : x.dtype(),
               std::make_shared<Partition>(stream(), positions, kth_), {x});
}

std::vector<array> SearchSorted::vjp(const std::vector<array>& primals, const std::vector<array>&,
                                     const std::vector<int>& argnums, const std::vector<array>&) {
  std::vector<array> grads;
  for (int i : argnums) grads.push_back(zeros_like(primals[i], stream()));
  return grads;
}

std::vector<array> SearchSorted::jvp(const std::vector<array>& primals, const std::vector<array>&,
                                     const std::vector<int>&) {
  return {zeros(primals[1].shape(), uint32, stream())};
}

std::pair<std::vector<array>, std::vector<int>> SearchSorted::vmap(const std::vector<array>& inputs,
                                                                   const std::vector<int>& axes) {
  auto s = stream();
  auto node = std::make_shared<SearchSorted>(s, right_);
  if (axes[0] < 0) {
    return {{array(inputs[1].shape(), uint32, node, inputs)}, {axes[1]}};
  }
  // One search per sequence.
  std::vector<array> results;
  array sequences = moveaxis(inputs[0], axes[0], 0, s);
  for (int i = 0; i < sequences.shape(0); i++) {
    array values = axes[1] < 0 ? inputs[1] : take(inputs[1], i, axes[1], s);
    results.emplace_back(values.shape(), uint32, node,
                         std::vector<array>{take(sequences, i, 0, s), values});
  }
  return {{stack(results, 0, s)}, {0}};
}

std::vector<array> Unique::vjp(const std::vector<array>& primals, const std::vector<array>&,
                               const std::vector<int>&, const std::vector<array>&) {
  return {zeros_like(primals[0], stream())};
}

std::vector<array> Unique::jvp(const std::vector<array>& primals, const std::vector<array>&,
                               const std::vector<int>&) {
  auto shapes = output_shapes(primals);
  auto s = stream();
  return {zeros(shapes[0], uint32, s), zeros(shapes[1], uint32, s), zeros(shapes[2], int32, s)};
}

std::pair<std::vector<array>, std::vector<int>> Unique::vmap(const std::vector<array>& inputs,
                                                             const std::vector<int>& axes) {
  auto s = stream();
  std::vector<std::vector<array>> results(3);
  for (int i = 0; i < inputs[0].shape(axes[0]); i++) {
    array x = take(inputs[0], i, axes[0], s);
    auto outs = array::make_arrays(output_shapes({x}), {uint32, uint32, int32},
                                   std::make_shared<Unique>(s, size_), {x});
    for (int k = 0; k < 3; k++) results[k].push_back(outs[k]);
  }
  return {{stack(results[0], 0, s), stack(results[1], 0, s), stack(results[2], 0, s)}, {0, 0, 0}};
}

std::vector<Shape> Unique::output_shapes(const std::vector<array>& inputs) {
  return {Shape{size_}, inputs[0].shape(), Shape{size_}};
}

}  // namespace mlx::core
