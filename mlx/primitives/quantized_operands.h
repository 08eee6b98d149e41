// The arrays of quantised operands among the inputs of a node, and how vmap sees them: what the
// rules of all nodes with such operands share.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "mlx/primitives/quantized.h"

namespace mlx::core {

/** The one output of a node. */
template <typename P>
array make_node(std::shared_ptr<P> primitive, Dtype dtype, std::vector<array> inputs) {
  Shape shape = primitive->output_shapes(inputs)[0];
  return array(std::move(shape), dtype, std::move(primitive), std::move(inputs));
}

/** What follows the first few of a list of inputs, or of their mapped axes. */
template <typename T>
std::vector<T> tail(const std::vector<T>& list, size_t first) {
  return {list.begin() + static_cast<int64_t>(first), list.end()};
}

/** `front` and then `back`. */
inline std::vector<array> joined(std::vector<array> front, const std::vector<array>& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

/** Axes of an example, the mapped one left out. */
inline int example_ndim(const array& in, int axis) {
  return static_cast<int>(in.ndim()) - (axis >= 0);
}

bool any_mapped(const std::vector<int>& axes);

/**
 * The arrays of an operand as vmap sees them: `matrices` of them share a batch shape, a global
 * scale may follow. If any is mapped, all the matrices become so, with `ndim` axes besides the
 * mapped one, which comes first.
 */
std::vector<array> mapped_operand(std::vector<array> parts, const std::vector<int>& axes,
                                  int matrices, int ndim, int count, Stream s);

}  // namespace mlx::core
