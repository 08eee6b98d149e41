// Shape and transforms of broadcasting.
#include "mlx/primitives/broadcast.h"

#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

array Broadcast::apply(const array& a) { return broadcast_to(a, output_shape(a), stream()); }

array Broadcast::apply_to_batch(const array& a) {
  // New axes go between the batch and the old ones.
  size_t added = shape_.size() + 1 - a.ndim();
  Shape spread = a.shape(), target = shape_;
  spread.insert(spread.begin() + 1, added, 1);
  target.insert(target.begin(), -1);
  for (size_t i = 0; i < target.size(); i++) {
    target[i] = target[i] == -1 ? spread[i] : target[i];
  }
  return broadcast_to(reshape(a, spread, stream()), target, stream());
}

array Broadcast::transposed(const array& cotangent, const array& primal) {
  return sum_to_shape(cotangent, primal.shape(), stream());
}

Shape Broadcast::output_shape(const array& in) const {
  check(in.ndim() <= shape_.size(), "broadcast_to", "Cannot broadcast an array of shape ",
        in.shape(), " to ", shape_.size(), " dimensions.");
  Shape shape = shape_;
  size_t added = shape.size() - in.ndim();
  for (size_t i = 0; i < in.ndim(); i++) {
    ShapeElem& extent = shape[added + i];
    extent = extent == -1 ? in.shape(i) : extent;
    check(in.shape(i) == extent || in.shape(i) == 1, "broadcast_to",
          "Cannot broadcast an array of shape ", in.shape(), " to shape ", shape, ".");
  }
  return shape;
}

array sum_to_shape(const array& a, const Shape& shape, Stream s) {
  if (a.shape() == shape) {
    return a;
  }
  std::vector<int> axes;
  int added = static_cast<int>(a.ndim() - shape.size());
  for (int i = 0; i < static_cast<int>(a.ndim()); i++) {
    if (i < added || (shape[i - added] == 1 && a.shape(i) != 1)) {
      axes.push_back(i);
    }
  }
  return reshape(sum(a, axes, true, s), shape, s);
}

}  // namespace mlx::core
