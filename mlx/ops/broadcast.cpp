// Ops that repeat arrays along axes without copying them.
#include "mlx/primitives/broadcast.h"
#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

bool broadcasts_to(const Shape& from, const Shape& to) {
  if (from.size() > to.size()) {
    return false;
  }
  size_t added = to.size() - from.size();
  for (size_t i = 0; i < from.size(); i++) {
    if (from[i] != to[added + i] && from[i] != 1) {
      return false;
    }
  }
  return true;
}

}  // namespace

array broadcast_to(const array& a, const Shape& shape, StreamOrDevice s) {
  if (a.shape() == shape) {
    return a;
  }
  check_shape("broadcast_to", shape, a.dtype());
  check(broadcasts_to(a.shape(), shape), "broadcast_to", "Cannot broadcast an array of shape ",
        a.shape(), " to shape ", shape, ".");
  // Axes that stay as they are follow the input when the graph is run with another shape.
  Shape asked = shape;
  size_t added = shape.size() - a.ndim();
  for (size_t i = 0; i < a.ndim(); i++) {
    asked[added + i] = a.shape(i) == shape[added + i] ? -1 : asked[added + i];
  }
  return rearranged<Broadcast>(a, shape, to_stream(s), std::move(asked));
}

std::vector<array> broadcast_arrays(const std::vector<array>& inputs, StreamOrDevice s) {
  Shape shape;
  for (auto& in : inputs) {
    shape = broadcast_shapes(shape, in.shape());
  }
  std::vector<array> result;
  for (auto& in : inputs) {
    result.push_back(broadcast_to(in, shape, s));
  }
  return result;
}

std::vector<array> meshgrid(const std::vector<array>& arrays, bool sparse,
                            const std::string& indexing, StreamOrDevice s) {
  check(indexing == "xy" || indexing == "ij", "meshgrid", "Unknown indexing '", indexing,
        "'; known are 'xy' and 'ij'.");
  size_t n = arrays.size();
  std::vector<array> grids;
  for (size_t i = 0; i < n; i++) {
    // Cartesian indexing swaps the first two axes.
    size_t axis = indexing == "xy" && n > 1 && i < 2 ? 1 - i : i;
    Shape shape(n, 1);
    shape[axis] = -1;
    if (arrays[i].size() == 0) {
      shape[axis] = 0;
    }
    grids.push_back(reshape(arrays[i], shape, s));
  }
  return sparse ? grids : broadcast_arrays(grids, s);
}

}  // namespace mlx::core
