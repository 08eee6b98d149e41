// Ops that read an array at positions given by index arrays.
#include "mlx/primitives/gather.h"

#include <algorithm>
#include <stdexcept>

#include "mlx/core/errors.h"
#include "mlx/core/object_pool.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/indices.h"

namespace mlx::core {

array gather(const array& a, const std::vector<array>& indices, const std::vector<int>& axes,
             const Shape& slice_sizes, StreamOrDevice s) {
  auto gather_axes = normalize_axes("gather", axes, a.ndim());
  check_indices("gather", a, indices, gather_axes);
  check(slice_sizes.size() == a.ndim() &&
            std::all_of(slice_sizes.begin(), slice_sizes.end(), [](int n) { return n >= 0; }),
        "gather", "Slices of size ", slice_sizes, " do not fit an array of shape ", a.shape(), ".");
  if (indices.empty() && slice_sizes == a.shape()) {
    return a;
  }
  // Axes read whole stay whole when the graph is run with another shape.
  Shape sizes = slice_sizes;
  for (int i = 0; i < static_cast<int>(a.ndim()); i++) {
    bool indexed = std::count(gather_axes.begin(), gather_axes.end(), i) > 0;
    sizes[i] = !indexed && sizes[i] == a.shape(i) ? -1 : sizes[i];
  }
  std::vector<array> inputs{a};
  inputs.insert(inputs.end(), indices.begin(), indices.end());
  auto node = make_pooled<Gather>(to_stream(s), std::move(gather_axes), std::move(sizes));
  Shape shape = node->output_shapes(inputs)[0];
  check_shape("gather", shape, a.dtype());
  return array(std::move(shape), a.dtype(), std::move(node), std::move(inputs));
}

array gather(const array& a, const array& indices, int axis, const Shape& slice_sizes,
             StreamOrDevice s) {
  return gather(a, std::vector<array>{indices}, std::vector<int>{axis}, slice_sizes, s);
}

array take(const array& a, const array& indices, int axis, StreamOrDevice s) {
  axis = normalize_axis("take", axis, a.ndim());
  check_index_dtype("take", indices);
  check(a.shape(axis) > 0 || indices.size() == 0, "take", "Cannot take ", indices.size(),
        " elements from the empty axis ", axis, " of an array of shape ", a.shape(), ".");
  Shape out = a.shape();
  out.erase(out.begin() + axis);
  out.insert(out.begin() + axis, indices.shape().begin(), indices.shape().end());
  if (axis == 0) {
    if (num_elements(out) == 0) {
      return zeros(out, a.dtype(), s);
    }
    Shape sizes = a.shape();
    sizes[0] = 1;
    return squeeze(gather(a, indices, 0, sizes, s), static_cast<int>(indices.ndim()), s);
  }
  // Along later axes all leading positions use the same indices, without copies of them.
  Shape along(a.ndim(), 1);
  along[axis] = checked_extent("take", indices.size());
  array taken = take_along_axis(a, reshape(indices, along, s), axis, s);
  return indices.ndim() == 0 ? squeeze(taken, axis, s) : unflatten(taken, axis, indices.shape(), s);
}

array take(const array& a, int index, int axis, StreamOrDevice s) {
  axis = normalize_axis("take", axis, a.ndim());
  int extent = a.shape(axis);
  if (index < -extent || index >= extent) {
    throw std::out_of_range(error_message("take", "Index ", index, " is out of range for axis ",
                                          axis, " of an array of shape ", a.shape(), "."));
  }
  index = index < 0 ? index + extent : index;
  Shape start(a.ndim(), 0), stop = a.shape();
  start[axis] = index;
  stop[axis] = index + 1;
  return squeeze(slice(a, std::move(start), std::move(stop), s), axis, s);
}

array take(const array& a, const array& indices, StreamOrDevice s) {
  return take(flatten(a, s), indices, 0, s);
}

array take(const array& a, int index, StreamOrDevice s) { return take(flatten(a, s), index, 0, s); }

array take_along_axis(const array& a, const array& indices, int axis, StreamOrDevice s) {
  axis = normalize_axis("take_along_axis", axis, a.ndim());
  Shape shape = shape_along_axis("take_along_axis", a, indices, axis);
  check(a.shape(axis) > 0 || num_elements(shape) == 0, "take_along_axis",
        "Cannot take from the empty axis ", axis, " of an array of shape ", a.shape(), ".");
  Shape source = shape;
  source[axis] = a.shape(axis);
  check_shape("take_along_axis", shape, a.dtype());
  return array(shape, a.dtype(), make_pooled<GatherAxis>(to_stream(s), axis),
               {broadcast_to(a, source, s), indices});
}

}  // namespace mlx::core
