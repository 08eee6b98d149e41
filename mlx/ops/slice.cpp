// Ops that read or write a regular part of an array.
#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/core/layout.h"
#include "mlx/core/object_pool.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/slice.h"

namespace mlx::core {

namespace {

SliceSpec checked_spec(const char* op, const array& a, Shape start, Shape stop, Shape step) {
  check(start.size() == a.ndim() && stop.size() == a.ndim() && step.size() == a.ndim(), op,
        "Start ", start, ", stop ", stop, " and strides ", step,
        " must each have one entry per axis of an array of shape ", a.shape(), ".");
  check(std::find(step.begin(), step.end(), 0) == step.end(), op, "Strides ", step,
        " must not be zero.");
  return {std::move(start), std::move(stop), std::move(step)};
}

array update_slice(const char* op, UpdateMode mode, const array& src, const array& update,
                   Shape start, Shape stop, Shape step, StreamOrDevice s) {
  auto spec = checked_spec(op, src, std::move(start), std::move(stop), std::move(step));
  return SliceUpdate::make(op, mode, src, update, std::move(spec), to_stream(s));
}

Shape unit_steps(const array& a) { return Shape(a.ndim(), 1); }

// The start of a dynamic slice as a vector with one entry for each axis.
array checked_start(const char* op, const array& start, const std::vector<int>& axes,
                    StreamOrDevice s) {
  check(issubdtype(start.dtype(), integer), op, "Start indices must be integers, got dtype ",
        start.dtype(), ".");
  check(start.ndim() <= 1 && start.size() == axes.size(), op, "Got start indices of shape ",
        start.shape(), " for ", axes.size(), " axes.");
  return atleast_1d(start, s);
}

}  // namespace

array slice(const array& a, Shape start, Shape stop, Shape strides, StreamOrDevice s) {
  auto spec = checked_spec("slice", a, std::move(start), std::move(stop), std::move(strides));
  // Only bounds that mean the whole of any array: with others the graph may run on larger ones.
  auto all = [](const Shape& entries, int value) {
    return std::all_of(entries.begin(), entries.end(), [value](int n) { return n == value; });
  };
  if (all(spec.start, 0) && all(spec.stop, INT32_MAX) && all(spec.step, 1)) {
    return a;
  }
  Stream stream = to_stream(s);
  Shape shape = spec.resolve(a.shape()).second;
  bool is_empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  if (is_at_hand(a) && !is_empty) {
    auto [offset, strides] = spec.locate(a);
    return view_at_hand(a, std::move(shape), strides, offset);
  }
  return rearranged<Slice>(a, std::move(shape), stream, std::move(spec));
}

array slice(const array& a, std::initializer_list<int> start, Shape stop, Shape strides,
            StreamOrDevice s) {
  return slice(a, Shape(start), std::move(stop), std::move(strides), s);
}

array slice(const array& a, Shape start, Shape stop, StreamOrDevice s) {
  return slice(a, std::move(start), std::move(stop), unit_steps(a), s);
}

array slice(const array& a, const array& start, std::vector<int> axes, Shape slice_size,
            StreamOrDevice s) {
  axes = normalize_axes("slice", std::move(axes), a.ndim());
  array from = checked_start("slice", start, axes, s);
  bool fits = slice_size.size() == a.ndim();
  for (size_t i = 0; fits && i < a.ndim(); i++) {
    fits = slice_size[i] >= 0 && slice_size[i] <= a.shape(i);
  }
  check(fits, "slice", "A slice of size ", slice_size, " does not fit an array of shape ",
        a.shape(), ".");
  if (slice_size == a.shape() && axes.empty()) {
    return a;
  }
  Shape shape = slice_size;
  return array(std::move(shape), a.dtype(),
               make_pooled<DynamicSlice>(to_stream(s), std::move(axes), std::move(slice_size)),
               {a, from});
}

array slice_update(const array& src, const array& update, Shape start, Shape stop, Shape strides,
                   StreamOrDevice s) {
  return update_slice("slice_update", UpdateMode::Replace, src, update, std::move(start),
                      std::move(stop), std::move(strides), s);
}

array slice_update(const array& src, const array& update, Shape start, Shape stop,
                   StreamOrDevice s) {
  return slice_update(src, update, std::move(start), std::move(stop), unit_steps(src), s);
}

array slice_update(const array& src, const array& update, const array& start, std::vector<int> axes,
                   StreamOrDevice s) {
  axes = normalize_axes("slice_update", std::move(axes), src.ndim());
  array from = checked_start("slice_update", start, axes, s);
  bool fits = update.ndim() <= src.ndim();
  Shape size(src.ndim(), 1);
  for (size_t i = 0; fits && i < update.ndim(); i++) {
    size_t axis = src.ndim() - update.ndim() + i;
    size[axis] = update.shape(i);
    fits = size[axis] <= src.shape(axis);
  }
  check(fits, "slice_update", "An update of shape ", update.shape(),
        " does not fit an array of shape ", src.shape(), ".");
  array fitting = reshape(astype(update, src.dtype(), s), size, s);
  return array(src.shape(), src.dtype(),
               make_pooled<DynamicSliceUpdate>(to_stream(s), std::move(axes)),
               {src, fitting, from});
}

array slice_update_add(const array& src, const array& update, Shape start, Shape stop,
                       Shape strides, StreamOrDevice s) {
  return update_slice("slice_update_add", UpdateMode::Sum, src, update, std::move(start),
                      std::move(stop), std::move(strides), s);
}

array slice_update_add(const array& src, const array& update, Shape start, Shape stop,
                       StreamOrDevice s) {
  return slice_update_add(src, update, std::move(start), std::move(stop), unit_steps(src), s);
}

array slice_update_prod(const array& src, const array& update, Shape start, Shape stop,
                        Shape strides, StreamOrDevice s) {
  return update_slice("slice_update_prod", UpdateMode::Prod, src, update, std::move(start),
                      std::move(stop), std::move(strides), s);
}

array slice_update_prod(const array& src, const array& update, Shape start, Shape stop,
                        StreamOrDevice s) {
  return slice_update_prod(src, update, std::move(start), std::move(stop), unit_steps(src), s);
}

array slice_update_max(const array& src, const array& update, Shape start, Shape stop,
                       Shape strides, StreamOrDevice s) {
  return update_slice("slice_update_max", UpdateMode::Max, src, update, std::move(start),
                      std::move(stop), std::move(strides), s);
}

array slice_update_max(const array& src, const array& update, Shape start, Shape stop,
                       StreamOrDevice s) {
  return slice_update_max(src, update, std::move(start), std::move(stop), unit_steps(src), s);
}

array slice_update_min(const array& src, const array& update, Shape start, Shape stop,
                       Shape strides, StreamOrDevice s) {
  return update_slice("slice_update_min", UpdateMode::Min, src, update, std::move(start),
                      std::move(stop), std::move(strides), s);
}

array slice_update_min(const array& src, const array& update, Shape start, Shape stop,
                       StreamOrDevice s) {
  return slice_update_min(src, update, std::move(start), std::move(stop), unit_steps(src), s);
}

array flip(const array& a, const std::vector<int>& axes, StreamOrDevice s) {
  Shape start(a.ndim(), 0), stop = a.shape(), step = unit_steps(a);
  for (int axis : normalize_axes("flip", axes, a.ndim())) {
    start[axis] = -1;
    stop[axis] = INT32_MIN;
    step[axis] = -1;
  }
  return slice(a, start, stop, step, s);
}

array flip(const array& a, int axis, StreamOrDevice s) {
  return flip(a, std::vector<int>{axis}, s);
}

array flip(const array& a, StreamOrDevice s) { return flip(a, all_axes(a.ndim()), s); }

}  // namespace mlx::core
