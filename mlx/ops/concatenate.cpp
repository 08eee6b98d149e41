// Ops that join and repeat arrays.
#include <algorithm>
#include <numeric>

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/concatenate.h"

namespace mlx::core {

array concatenate(std::vector<array> arrays, int axis, StreamOrDevice s) {
  check(!arrays.empty(), "concatenate", "Needs at least one array.");
  axis = normalize_axis("concatenate", axis, arrays[0].ndim());
  Shape shape = Concatenate::joined(arrays, axis);
  if (arrays.size() == 1) {
    return arrays[0];
  }
  Dtype dtype = result_type(arrays);
  for (auto& a : arrays) {
    a = astype(a, dtype, s);
  }
  return array(std::move(shape), dtype, std::make_shared<Concatenate>(to_stream(s), axis),
               std::move(arrays));
}

array concatenate(std::vector<array> arrays, StreamOrDevice s) {
  for (auto& a : arrays) {
    a = flatten(a, s);
  }
  return concatenate(std::move(arrays), 0, s);
}

array stack(const std::vector<array>& arrays, int axis, StreamOrDevice s) {
  check(!arrays.empty(), "stack", "Needs at least one array.");
  axis = normalize_axis("stack", axis, arrays[0].ndim() + 1);
  std::vector<array> spread;
  for (auto& a : arrays) {
    check(a.shape() == arrays[0].shape(), "stack", "All arrays must have the same shape, got ",
          arrays[0].shape(), " and ", a.shape(), ".");
    spread.push_back(expand_dims(a, axis, s));
  }
  return concatenate(std::move(spread), axis, s);
}

array stack(const std::vector<array>& arrays, StreamOrDevice s) { return stack(arrays, 0, s); }

array repeat(const array& arr, int repeats, int axis, StreamOrDevice s) {
  axis = normalize_axis("repeat", axis, arr.ndim());
  check(repeats >= 0, "repeat", "The number of repeats cannot be negative, got ", repeats, ".");
  checked_extent("repeat", static_cast<int64_t>(repeats) * arr.shape(axis));
  if (repeats == 1) {
    return arr;
  }
  Shape spread = arr.shape();
  spread.insert(spread.begin() + axis + 1, repeats);
  array repeated = broadcast_to(expand_dims(arr, axis + 1, s), spread, s);
  return flatten(repeated, axis, axis + 1, s);
}

array repeat(const array& arr, int repeats, StreamOrDevice s) {
  return repeat(flatten(arr, s), repeats, 0, s);
}

array tile(const array& arr, std::vector<int> reps, StreamOrDevice s) {
  Shape shape = arr.shape();
  size_t ndim = std::max(shape.size(), reps.size());
  shape.insert(shape.begin(), ndim - shape.size(), 1);
  reps.insert(reps.begin(), ndim - reps.size(), 1);
  // Every repeated axis becomes the pair (repeat, extent), which then merges into one.
  array tiled = expand_dims(arr, all_axes(ndim - arr.ndim()), s);
  for (size_t i = 0; i < ndim; i++) {
    check(reps[i] >= 0, "tile", "The number of repeats cannot be negative, got ", reps[i], ".");
    checked_extent("tile", static_cast<int64_t>(reps[i]) * shape[i]);
  }
  int axis = 0;
  Shape spread;
  std::vector<int> pairs, added;
  for (size_t i = 0; i < ndim; i++) {
    if (reps[i] != 1) {
      pairs.push_back(static_cast<int>(i));
      added.push_back(axis++);
      spread.push_back(reps[i]);
    }
    spread.push_back(shape[i]);
    axis++;
  }
  tiled = broadcast_to(expand_dims(tiled, added, s), spread, s);
  for (int pair : pairs) {
    tiled = flatten(tiled, pair, pair + 1, s);
  }
  return tiled;
}

array roll(const array& a, const Shape& shift, const std::vector<int>& axes, StreamOrDevice s) {
  if (axes.size() == 1 && shift.size() != 1) {
    return roll(a, shift, axes[0], s);
  }
  check(shift.size() == axes.size(), "roll", "Got ", shift.size(), " shifts for ", axes.size(),
        " axes.");
  array rolled = a;
  for (size_t i = 0; i < axes.size(); i++) {
    int axis = normalize_axis("roll", axes[i], a.ndim());
    int by = a.shape(axis) == 0 ? 0 : shift[i] % a.shape(axis);
    if (by != 0) {
      // Counted from the end or the start, whichever the elements come from.
      auto parts = split(rolled, Shape{-by}, axis, s);
      rolled = concatenate({parts[1], parts[0]}, axis, s);
    }
  }
  return rolled;
}

array roll(const array& a, const Shape& shift, int axis, StreamOrDevice s) {
  // Several shifts of one axis add up.
  int64_t total = std::accumulate(shift.begin(), shift.end(), int64_t{0});
  axis = normalize_axis("roll", axis, a.ndim());
  int by = a.shape(axis) == 0 ? 0 : static_cast<int>(total % a.shape(axis));
  return roll(a, Shape{by}, std::vector<int>{axis}, s);
}

array roll(const array& a, const Shape& shift, StreamOrDevice s) {
  return reshape(roll(flatten(a, s), shift, 0, s), a.shape(), s);
}

array roll(const array& a, int shift, const std::vector<int>& axes, StreamOrDevice s) {
  return roll(a, Shape(axes.size(), shift), axes, s);
}

array roll(const array& a, int shift, int axis, StreamOrDevice s) {
  return roll(a, Shape{shift}, axis, s);
}

array roll(const array& a, int shift, StreamOrDevice s) { return roll(a, Shape{shift}, s); }

}  // namespace mlx::core
