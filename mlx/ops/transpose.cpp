// Ops that permute axes.
#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/core/layout.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/transpose.h"

namespace mlx::core {

array transpose(const array& a, std::vector<int> axes, StreamOrDevice s) {
  check(axes.size() == a.ndim(), "transpose", "Got ", axes.size(), " axes for an array with shape ",
        a.shape(), ".");
  axes = normalize_axes("transpose", std::move(axes), a.ndim());
  if (std::is_sorted(axes.begin(), axes.end())) {
    return a;
  }
  Stream stream = to_stream(s);
  Shape shape = Transpose::permuted(a.shape(), axes);
  if (is_at_hand(a)) {
    return view_at_hand(a, std::move(shape), Transpose::permuted(a.strides(), axes));
  }
  return rearranged<Transpose>(a, std::move(shape), stream, std::move(axes));
}

array transpose(const array& a, std::initializer_list<int> axes, StreamOrDevice s) {
  return transpose(a, std::vector<int>(axes), s);
}

array transpose(const array& a, StreamOrDevice s) {
  auto axes = all_axes(a.ndim());
  std::reverse(axes.begin(), axes.end());
  return transpose(a, std::move(axes), s);
}

array matrix_transpose(const array& a, StreamOrDevice s) {
  check(a.ndim() >= 2, "matrix_transpose",
        "The array must have at least two dimensions, got shape ", a.shape(), ".");
  return swapaxes(a, -1, -2, s);
}

array swapaxes(const array& a, int axis1, int axis2, StreamOrDevice s) {
  auto axes = all_axes(a.ndim());
  axis1 = normalize_axis("swapaxes", axis1, a.ndim());
  axis2 = normalize_axis("swapaxes", axis2, a.ndim());
  std::swap(axes[axis1], axes[axis2]);
  return transpose(a, std::move(axes), s);
}

array moveaxis(const array& a, int source, int destination, StreamOrDevice s) {
  source = normalize_axis("moveaxis", source, a.ndim());
  destination = normalize_axis("moveaxis", destination, a.ndim());
  auto axes = all_axes(a.ndim());
  axes.erase(axes.begin() + source);
  axes.insert(axes.begin() + destination, source);
  return transpose(a, std::move(axes), s);
}

}  // namespace mlx::core
