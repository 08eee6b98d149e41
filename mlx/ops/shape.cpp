// Ops that keep the elements in row-major order and give them another shape. Where nothing changes
// they return their input.
#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/core/layout.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/shape.h"

namespace mlx::core {

namespace {

/** A node with the elements in another shape, or the view itself where it is at hand. */
template <typename Node, typename... Args>
array in_order(const array& a, Shape shape, Stream s, Args&&... args) {
  if (is_at_hand(a)) {
    if (auto strides = reshape_strides(a, shape)) {
      return view_at_hand(a, std::move(shape), *strides);
    }
  }
  return rearranged<Node>(a, std::move(shape), s, std::forward<Args>(args)...);
}

}  // namespace

array reshape(const array& a, Shape shape, StreamOrDevice s) {
  Shape resolved = Reshape::resolve(a, shape);
  if (resolved == a.shape()) {
    return a;
  }
  return in_order<Reshape>(a, std::move(resolved), to_stream(s), std::move(shape));
}

array unflatten(const array& a, int axis, Shape shape, StreamOrDevice s) {
  check(!shape.empty(), "unflatten", "The shape to unflatten to cannot be empty.");
  axis = normalize_axis("unflatten", axis, a.ndim());
  Shape out = Unflatten::cut(a.shape(), axis, shape);
  if (out == a.shape()) {
    return a;
  }
  return in_order<Unflatten>(a, std::move(out), to_stream(s), axis, std::move(shape));
}

array flatten(const array& a, int start_axis, int end_axis, StreamOrDevice s) {
  // Axes past either end mean that end.
  int ndim = static_cast<int>(a.ndim());
  if (ndim == 0) {
    return reshape(a, {1}, s);
  }
  int start = std::max(0, start_axis < 0 ? start_axis + ndim : start_axis);
  int end = std::min(ndim - 1, end_axis < 0 ? end_axis + ndim : end_axis);
  check(start <= end, "flatten", "start_axis ", start_axis, " comes after end_axis ", end_axis,
        " for an array with ", ndim, " dimensions.");
  if (start == end) {
    return a;
  }
  return in_order<Flatten>(a, Flatten::merged(a.shape(), start, end), to_stream(s), start, end);
}

array flatten(const array& a, StreamOrDevice s) { return flatten(a, 0, -1, s); }

array squeeze(const array& a, const std::vector<int>& axes, StreamOrDevice s) {
  auto dropped = sorted_axes("squeeze", axes, a.ndim());
  Shape shape = Squeeze::without(a.shape(), dropped);
  if (dropped.empty()) {
    return a;
  }
  return in_order<Squeeze>(a, std::move(shape), to_stream(s), std::move(dropped));
}

array squeeze(const array& a, int axis, StreamOrDevice s) {
  return squeeze(a, std::vector<int>{axis}, s);
}

array squeeze(const array& a, StreamOrDevice s) {
  std::vector<int> axes;
  for (int i = 0; i < static_cast<int>(a.ndim()); i++) {
    if (a.shape(i) == 1) {
      axes.push_back(i);
    }
  }
  return squeeze(a, axes, s);
}

array expand_dims(const array& a, const std::vector<int>& axes, StreamOrDevice s) {
  auto added = sorted_axes("expand_dims", axes, a.ndim() + axes.size());
  if (added.empty()) {
    return a;
  }
  return in_order<ExpandDims>(a, ExpandDims::with(a.shape(), added), to_stream(s),
                              std::move(added));
}

array expand_dims(const array& a, int axis, StreamOrDevice s) {
  return expand_dims(a, std::vector<int>{axis}, s);
}

array atleast_1d(const array& a, StreamOrDevice s) {
  return a.ndim() == 0 ? expand_dims(a, 0, s) : a;
}

array atleast_2d(const array& a, StreamOrDevice s) {
  return a.ndim() >= 2 ? a : expand_dims(atleast_1d(a, s), 0, s);
}

array atleast_3d(const array& a, StreamOrDevice s) {
  return a.ndim() >= 3 ? a : expand_dims(atleast_2d(a, s), 2, s);
}

namespace {

template <typename F>
std::vector<array> for_each_array(const std::vector<array>& arrays, F f) {
  std::vector<array> result;
  for (auto& a : arrays) {
    result.push_back(f(a));
  }
  return result;
}

}  // namespace

std::vector<array> atleast_1d(const std::vector<array>& a, StreamOrDevice s) {
  return for_each_array(a, [&](const array& x) { return atleast_1d(x, s); });
}

std::vector<array> atleast_2d(const std::vector<array>& a, StreamOrDevice s) {
  return for_each_array(a, [&](const array& x) { return atleast_2d(x, s); });
}

std::vector<array> atleast_3d(const std::vector<array>& a, StreamOrDevice s) {
  return for_each_array(a, [&](const array& x) { return atleast_3d(x, s); });
}

}  // namespace mlx::core
