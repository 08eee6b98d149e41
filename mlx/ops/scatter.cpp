// Ops that write updates into an array at positions given by index arrays.
#include "mlx/primitives/scatter.h"

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/indices.h"

namespace mlx::core {

namespace {

array scatter_slices(const char* op, UpdateMode mode, const array& a,
                     const std::vector<array>& indices, const array& updates,
                     const std::vector<int>& axes, StreamOrDevice s) {
  auto scatter_axes = normalize_axes(op, axes, a.ndim());
  check_indices(op, a, indices, scatter_axes);
  std::vector<array> inputs{a};
  inputs.insert(inputs.end(), indices.begin(), indices.end());
  inputs.push_back(astype(updates, a.dtype(), s));
  auto node = std::make_shared<Scatter>(to_stream(s), mode, std::move(scatter_axes));
  Shape shape = node->output_shapes(inputs)[0];
  return updates.size() == 0 ? a : array(std::move(shape), a.dtype(), std::move(node), inputs);
}

array scatter_along_axis(const char* op, UpdateMode mode, const array& a, const array& indices,
                         const array& values, int axis, StreamOrDevice s) {
  axis = normalize_axis(op, axis, a.ndim());
  Shape shape = shape_along_axis(op, a, indices, axis);
  Shape target = shape;
  target[axis] = a.shape(axis);
  check(target == a.shape(), op, "Indices of shape ", indices.shape(),
        " do not broadcast to the array of shape ", a.shape(), ".");
  check(a.shape(axis) > 0 || num_elements(shape) == 0, op, "Cannot write to the empty axis ", axis,
        " of an array of shape ", a.shape(), ".");
  array updates = broadcast_to(astype(values, a.dtype(), s), shape, s);
  if (updates.size() == 0) {
    return a;
  }
  return array(a.shape(), a.dtype(), std::make_shared<ScatterAxis>(to_stream(s), mode, axis),
               {a, indices, updates});
}

}  // namespace

array scatter(const array& a, const std::vector<array>& indices, const array& updates,
              const std::vector<int>& axes, StreamOrDevice s) {
  return scatter_slices("scatter", UpdateMode::Replace, a, indices, updates, axes, s);
}

array scatter(const array& a, const array& indices, const array& updates, int axis,
              StreamOrDevice s) {
  return scatter(a, std::vector<array>{indices}, updates, std::vector<int>{axis}, s);
}

array scatter_add(const array& a, const std::vector<array>& indices, const array& updates,
                  const std::vector<int>& axes, StreamOrDevice s) {
  return scatter_slices("scatter_add", UpdateMode::Sum, a, indices, updates, axes, s);
}

array scatter_add(const array& a, const array& indices, const array& updates, int axis,
                  StreamOrDevice s) {
  return scatter_add(a, std::vector<array>{indices}, updates, std::vector<int>{axis}, s);
}

array scatter_prod(const array& a, const std::vector<array>& indices, const array& updates,
                   const std::vector<int>& axes, StreamOrDevice s) {
  return scatter_slices("scatter_prod", UpdateMode::Prod, a, indices, updates, axes, s);
}

array scatter_prod(const array& a, const array& indices, const array& updates, int axis,
                   StreamOrDevice s) {
  return scatter_prod(a, std::vector<array>{indices}, updates, std::vector<int>{axis}, s);
}

array scatter_max(const array& a, const std::vector<array>& indices, const array& updates,
                  const std::vector<int>& axes, StreamOrDevice s) {
  return scatter_slices("scatter_max", UpdateMode::Max, a, indices, updates, axes, s);
}

array scatter_max(const array& a, const array& indices, const array& updates, int axis,
                  StreamOrDevice s) {
  return scatter_max(a, std::vector<array>{indices}, updates, std::vector<int>{axis}, s);
}

array scatter_min(const array& a, const std::vector<array>& indices, const array& updates,
                  const std::vector<int>& axes, StreamOrDevice s) {
  return scatter_slices("scatter_min", UpdateMode::Min, a, indices, updates, axes, s);
}

array scatter_min(const array& a, const array& indices, const array& updates, int axis,
                  StreamOrDevice s) {
  return scatter_min(a, std::vector<array>{indices}, updates, std::vector<int>{axis}, s);
}

array put_along_axis(const array& a, const array& indices, const array& values, int axis,
                     StreamOrDevice s) {
  return scatter_along_axis("put_along_axis", UpdateMode::Replace, a, indices, values, axis, s);
}

array scatter_add_axis(const array& a, const array& indices, const array& values, int axis,
                       StreamOrDevice s) {
  return scatter_along_axis("scatter_add_axis", UpdateMode::Sum, a, indices, values, axis, s);
}

}  // namespace mlx::core
