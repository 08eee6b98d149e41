// Shape and transforms of the permutation of axes.
#include "mlx/primitives/transpose.h"

#include "mlx/ops.h"

namespace mlx::core {

array Transpose::apply(const array& a) { return transpose(a, axes_, stream()); }

array Transpose::apply_to_batch(const array& a) {
  std::vector<int> axes{0};
  for (int axis : axes_) {
    axes.push_back(axis + 1);
  }
  return transpose(a, std::move(axes), stream());
}

array Transpose::transposed(const array& cotangent, const array&) {
  std::vector<int> inverse(axes_.size());
  for (size_t i = 0; i < axes_.size(); i++) {
    inverse[axes_[i]] = static_cast<int>(i);
  }
  return transpose(cotangent, std::move(inverse), stream());
}

}  // namespace mlx::core
