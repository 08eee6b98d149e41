// Shape and transforms of padding.
#include "mlx/primitives/pad.h"

#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"

namespace mlx::core {

Shape Pad::padded(const Shape& shape, const Shape& low, const Shape& high) {
  Shape out;
  for (size_t i = 0; i < shape.size(); i++) {
    out.push_back(checked_extent("pad", int64_t{shape[i]} + low[i] + high[i]));
  }
  return out;
}

array Pad::inside(const array& a) const {
  Shape stop = a.shape();
  for (size_t i = 0; i < stop.size(); i++) {
    stop[i] -= high_[i];
  }
  return slice(a, low_, stop, stream());
}

array Pad::padded_with(const array& a, const array& value) const {
  return pad(a, all_axes(a.ndim()), low_, high_, value, "constant", stream());
}

std::vector<array> Pad::vjp(const std::vector<array>&, const std::vector<array>& cotangents,
                            const std::vector<int>& argnums, const std::vector<array>&) {
  array kept = inside(cotangents[0]);
  std::vector<array> result;
  for (int i : argnums) {
    if (i == 0) {
      result.push_back(kept);
    } else {
      array hidden = padded_with(zeros_like(kept, stream()), array(1, kept.dtype()));
      result.push_back(sum(multiply(cotangents[0], hidden, stream()), stream()));
    }
  }
  return result;
}

std::vector<array> Pad::jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                            const std::vector<int>& argnums) {
  std::vector<array> all{zeros_like(primals[0], stream()), zeros_like(primals[1], stream())};
  for (size_t k = 0; k < argnums.size(); k++) {
    all[argnums[k]] = tangents[k];
  }
  return {padded_with(all[0], all[1])};
}

std::pair<std::vector<array>, std::vector<int>> Pad::vmap(const std::vector<array>& inputs,
                                                          const std::vector<int>& axes) {
  Stream s = stream();
  int batch = batch_extent(inputs, axes);
  array a = broadcast_batch_first(inputs[0], axes[0], batch, s);
  Shape low = low_, high = high_;
  low.insert(low.begin(), 0);
  high.insert(high.begin(), 0);
  if (axes[1] < 0) {
    return {{pad(a, all_axes(a.ndim()), low, high, inputs[1], "constant", s)}, {0}};
  }
  // A value for each slice: fill, then put the slices in.
  Shape each(a.ndim(), 1);
  each[0] = batch;
  array filled = broadcast_to(reshape(inputs[1], each, s), padded(a.shape(), low, high), s);
  Shape stop;
  for (size_t i = 0; i < low.size(); i++) {
    stop.push_back(low[i] + a.shape(i));
  }
  return {{slice_update(filled, a, low, stop, s)}, {0}};
}

}  // namespace mlx::core
