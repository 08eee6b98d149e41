// Checks of index arrays.
#include "mlx/primitives/indices.h"

#include <stdexcept>

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/utils.h"

namespace mlx::core {

void check_index_dtype(const char* op, const array& indices) {
  check(issubdtype(indices.dtype(), integer), op, "Indices must be integers, got dtype ",
        indices.dtype(), ".");
}

void check_no_index(const char* op, const std::vector<int>& argnums, int first, int last) {
  for (int i : argnums) {
    check(i < first || i > last, op,
          "There is no derivative with respect to indices: put them through stop_gradient.");
  }
}

Shape check_indices(const char* op, const array& a, const std::vector<array>& indices,
                    const std::vector<int>& axes) {
  check(indices.size() == axes.size(), op, "Got ", indices.size(), " index arrays for ",
        axes.size(), " axes of an array of shape ", a.shape(), ".");
  Shape shape;
  for (auto& index : indices) {
    check_index_dtype(op, index);
    shape = broadcast_shapes(shape, index.shape());
  }
  return shape;
}

Shape shape_along_axis(const char* op, const array& a, const array& indices, int axis) {
  check_index_dtype(op, indices);
  check(indices.ndim() == a.ndim(), op, "Indices of shape ", indices.shape(),
        " must have as many dimensions as the array of shape ", a.shape(), ".");
  Shape from = a.shape(), at = indices.shape();
  from[axis] = at[axis] = 1;
  Shape shape = broadcast_shapes(from, at);
  shape[axis] = indices.shape(axis);
  return shape;
}

}  // namespace mlx::core
