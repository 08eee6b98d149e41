// Checks of axes and shapes that ops make before they build a node.
#pragma once

#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/core/object_pool.h"
#include "mlx/primitives.h"

namespace mlx::core {

/** The axis in [0, ndim). Throws AxisError naming the op. */
int normalize_axis(const char* op, int axis, size_t ndim);

/** All axes in [0, ndim), in the order given. Throws AxisError, and std::invalid_argument when one
 *  comes twice. */
std::vector<int> normalize_axes(const char* op, std::vector<int> axes, size_t ndim);

/** As normalize_axes, sorted. */
std::vector<int> sorted_axes(const char* op, std::vector<int> axes, size_t ndim);

/** [0, 1, …, ndim - 1] */
std::vector<int> all_axes(size_t ndim);

/** An axis longer than shapes can say: an overflow error and a value error for Python callers. */
class ExtentError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/** An extent that fits a Shape. Throws ExtentError naming the op. */
ShapeElem checked_extent(const char* op, int64_t extent);

/** Throws std::invalid_argument unless no extent is negative and the bytes can be counted. */
void check_shape(const char* op, const Shape& shape, Dtype dtype);

/** A node with one output of the dtype of its input. */
template <typename Node, typename... Args>
array rearranged(const array& a, Shape shape, Stream s, Args&&... args) {
  return array(std::move(shape), a.dtype(), make_pooled<Node>(s, std::forward<Args>(args)...), {a});
}

}  // namespace mlx::core
