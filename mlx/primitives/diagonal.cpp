// Shape and transforms of diagonals.
#include "mlx/primitives/diagonal.h"

#include <algorithm>

#include "mlx/ops.h"

namespace mlx::core {

Shape Diagonal::without_last(const Shape& shape, int offset) {
  int64_t rows = shape[shape.size() - 2], columns = shape.back();
  int64_t length =
      offset >= 0 ? std::min(rows, columns - offset) : std::min(rows + offset, columns);
  Shape out(shape.begin(), shape.end() - 1);
  out.back() = static_cast<ShapeElem>(std::max<int64_t>(length, 0));
  return out;
}

array Diagonal::apply(const array& a) { return diagonal(a, offset_, -2, -1, stream()); }

array Diagonal::transposed(const array& cotangent, const array& primal) {
  Stream s = stream();
  if (cotangent.size() == 0) {  // no place, not even for an update of one element
    return zeros_like(primal, s);
  }
  array position = arange(cotangent.shape(-1), s);
  array row = add(position, array(std::max<int64_t>(-int64_t{offset_}, 0)), s);
  array column = add(position, array(std::max<int64_t>(offset_, 0)), s);
  // Scattered positions come first in the updates, and the indexed axes as units.
  int last = static_cast<int>(primal.ndim()) - 1;
  array updates = expand_dims(moveaxis(cotangent, -1, 0, s), {-2, -1}, s);
  return scatter_add(zeros_like(primal, s), {row, column}, updates, {last - 1, last}, s);
}

}  // namespace mlx::core
