// Merging and folding the batch axes of products.
#include "mlx/backend/common/product_batch.h"

#include <algorithm>

#include "mlx/core/layout.h"

namespace mlx::core {

Strides batch_strides(const array& in, const Strides& strides, size_t axes) {
  Strides result(axes, 0);
  size_t own = in.ndim() - 2;
  for (size_t i = 0; i < own; i++) {
    result[axes - own + i] = in.shape()[i] == 1 ? 0 : strides[i];
  }
  return result;
}

ProductBatch::ProductBatch(const array& a, const array& b, const array& out,
                           const std::optional<Strides>& c_strides)
    : rows(out.shape(-2)), a_row(a.strides(-2)), out_row(out.shape(-1)), adds_(c_strides) {
  size_t count = out.ndim() - 2;
  bool is_one =
      std::all_of(out.shape().begin(), out.shape().end() - 2, [](int n) { return n == 1; });
  if (is_one) {
    if (adds_) c_row = (*c_strides)[count];
    return;
  }
  Strides c(count, 0);
  if (adds_) {
    c_row = (*c_strides)[count];
    std::copy_n(c_strides->begin(), count, c.begin());
  }
  Shape batch(out.shape().begin(), out.shape().end() - 2);
  auto [sizes, strides] = collapse_dims(
      batch, {batch_strides(a, a.strides(), count), batch_strides(b, b.strides(), count),
              batch_strides(out, out.strides(), count), c});
  for (size_t i = 0; i < sizes.size(); i++) {
    if (sizes[i] == 1) continue;
    axes.push_back({sizes[i], strides[0][i], strides[1][i], strides[2][i], strides[3][i]});
  }
}

bool ProductBatch::fold_into_rows(bool any_stride) {
  if (axes.empty() || axes.back().b != 0) {
    return false;
  }
  const BatchAxis& axis = axes.back();
  if (rows == 1 && any_stride) {
    a_row = axis.a;
    out_row = axis.out;
    c_row = axis.c;
  } else if (axis.a != rows * a_row || axis.out != rows * out_row ||
             (adds_ && axis.c != rows * c_row)) {
    return false;
  }
  rows *= axis.size;
  axes.pop_back();
  return true;
}

int64_t ProductBatch::count() const {
  int64_t count = 1;
  for (auto& axis : axes) count *= axis.size;
  return count;
}

BatchPlace ProductBatch::place_at(std::span<const BatchAxis> axes, int64_t index) {
  BatchPlace place;
  for (size_t i = axes.size(); i-- > 0;) {
    int64_t step = index % axes[i].size;
    index /= axes[i].size;
    place.a += step * axes[i].a;
    place.b += step * axes[i].b;
    place.out += step * axes[i].out;
    place.c += step * axes[i].c;
  }
  return place;
}

}  // namespace mlx::core
