// Ops that cut an array along one axis.
#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/slice.h"

namespace mlx::core {

namespace {

std::vector<array> split_parts(const array& a, std::shared_ptr<Split> node) {
  auto shapes = node->output_shapes({a});
  if (shapes.size() == 1) {
    return {a};
  }
  std::vector<Dtype> dtypes(shapes.size(), a.dtype());
  return array::make_arrays(std::move(shapes), dtypes, node, {a});
}

}  // namespace

std::vector<array> split(const array& a, int num_splits, int axis, StreamOrDevice s) {
  axis = normalize_axis("split", axis, a.ndim());
  check(num_splits > 0, "split", "The number of parts must be positive, got ", num_splits, ".");
  return split_parts(a, std::make_shared<Split>(to_stream(s), axis, Shape{}, num_splits));
}

std::vector<array> split(const array& a, int num_splits, StreamOrDevice s) {
  return split(a, num_splits, 0, s);
}

std::vector<array> split(const array& a, const Shape& indices, int axis, StreamOrDevice s) {
  axis = normalize_axis("split", axis, a.ndim());
  return split_parts(a, std::make_shared<Split>(to_stream(s), axis, indices, 0));
}

std::vector<array> split(const array& a, const Shape& indices, StreamOrDevice s) {
  return split(a, indices, 0, s);
}

std::vector<array> unstack(const array& a, int axis, StreamOrDevice s) {
  axis = normalize_axis("unstack", axis, a.ndim());
  if (a.shape(axis) == 0) {
    return {};
  }
  std::vector<array> result;
  for (auto& part : split(a, a.shape(axis), axis, s)) {
    result.push_back(squeeze(part, axis, s));
  }
  return result;
}

std::vector<array> unstack(const array& a, StreamOrDevice s) { return unstack(a, 0, s); }

}  // namespace mlx::core
