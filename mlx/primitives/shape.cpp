// Shapes and transforms of nodes that keep row-major order.
#include "mlx/primitives/shape.h"

#include <algorithm>
#include <limits>

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

std::vector<int> shifted(std::vector<int> axes) {
  for (int& axis : axes) {
    axis++;
  }
  return axes;
}

ShapeElem checked_extent(const char* op, int64_t extent, const Shape& shape) {
  if (extent > std::numeric_limits<ShapeElem>::max()) {
    throw ExtentError(error_message(op, "An axis of ", extent, " elements, from shape ", shape,
                                    ", is longer than 2^31 - 1."));
  }
  return static_cast<ShapeElem>(extent);
}

// Product of the extents but -1, or -1 when it is past any array's size.
int64_t known_product(const Shape& shape) {
  int64_t product = 1;
  bool overflow = false;
  for (auto extent : shape) {
    if (extent != -1) {
      overflow |= __builtin_mul_overflow(product, static_cast<int64_t>(extent), &product);
    }
  }
  bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  return empty ? 0 : overflow ? -1 : product;
}

}  // namespace

array Reshaping::transposed(const array& cotangent, const array& primal) {
  return reshape(cotangent, primal.shape(), stream());
}

// ------------ Reshape

Shape Reshape::resolve(const array& in, Shape shape) {
  int64_t size = static_cast<int64_t>(in.size());
  bool sensible = std::all_of(shape.begin(), shape.end(), [](int n) { return n >= -1; });
  auto unknown = std::find(shape.begin(), shape.end(), -1);
  int64_t known = known_product(shape);
  if (unknown != shape.end()) {
    check(std::count(shape.begin(), shape.end(), -1) == 1, "reshape",
          "Only one axis of the new shape ", shape, " can be inferred.");
    check(known != 0, "reshape", "Cannot infer -1 in shape ", shape,
          " since the other axes have no elements.");
    if (sensible && known > 0 && size % known == 0) {
      *unknown = checked_extent("reshape", size / known, in.shape());
      return shape;
    }
  }
  check(sensible && known == size && unknown == shape.end(), "reshape",
        "Cannot reshape array of size ", size, " and shape ", in.shape(), " into shape ", shape,
        ".");
  return shape;
}

array Reshape::apply(const array& a) { return reshape(a, shape_, stream()); }

array Reshape::apply_to_batch(const array& a) {
  Shape batched = shape_;
  batched.insert(batched.begin(), a.shape(0));
  return reshape(a, batched, stream());
}

// ------------ Flatten

Shape Flatten::merged(const Shape& shape, int start, int end) {
  Shape between(shape.begin() + start, shape.begin() + end + 1);
  int64_t product = static_cast<int64_t>(num_elements(between));
  Shape out(shape.begin(), shape.begin() + start);
  out.push_back(checked_extent("flatten", product, shape));
  out.insert(out.end(), shape.begin() + end + 1, shape.end());
  return out;
}

array Flatten::apply(const array& a) { return flatten(a, start_, end_, stream()); }
array Flatten::apply_to_batch(const array& a) { return flatten(a, start_ + 1, end_ + 1, stream()); }

// ------------ Unflatten

Shape Unflatten::cut(const Shape& in, int axis, Shape shape) {
  Shape asked = shape;
  bool sensible = std::all_of(shape.begin(), shape.end(), [](int n) { return n >= -1; });
  int64_t known = known_product(shape);
  auto unknown = std::find(shape.begin(), shape.end(), -1);
  if (sensible && unknown != shape.end() && known > 0 && in[axis] % known == 0) {
    *unknown = static_cast<ShapeElem>(in[axis] / known);
    known = in[axis];
  }
  check(sensible && known == in[axis] && std::count(shape.begin(), shape.end(), -1) == 0,
        "unflatten", "Cannot unflatten axis ", axis, " with size ", in[axis], " of shape ", in,
        " into shape ", asked, ".");
  Shape out(in.begin(), in.begin() + axis);
  out.insert(out.end(), shape.begin(), shape.end());
  out.insert(out.end(), in.begin() + axis + 1, in.end());
  return out;
}

array Unflatten::apply(const array& a) { return unflatten(a, axis_, shape_, stream()); }
array Unflatten::apply_to_batch(const array& a) {
  return unflatten(a, axis_ + 1, shape_, stream());
}

// ------------ Squeeze

Shape Squeeze::without(const Shape& shape, const std::vector<int>& axes) {
  Shape out;
  for (int i = 0; i < static_cast<int>(shape.size()); i++) {
    if (!std::binary_search(axes.begin(), axes.end(), i)) {
      out.push_back(shape[i]);
      continue;
    }
    check(shape[i] == 1, "squeeze", "Cannot squeeze axis ", i, " of shape ", shape,
          ": its size is not 1.");
  }
  return out;
}

array Squeeze::apply(const array& a) { return squeeze(a, axes_, stream()); }
array Squeeze::apply_to_batch(const array& a) { return squeeze(a, shifted(axes_), stream()); }

// ------------ ExpandDims

Shape ExpandDims::with(const Shape& shape, const std::vector<int>& axes) {
  Shape out = shape;
  for (int axis : axes) {
    out.insert(out.begin() + axis, 1);
  }
  return out;
}

array ExpandDims::apply(const array& a) { return expand_dims(a, axes_, stream()); }
array ExpandDims::apply_to_batch(const array& a) {
  return expand_dims(a, shifted(axes_), stream());
}

}  // namespace mlx::core
