// Shapes and transforms of slices and splits.
#include "mlx/primitives/slice.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "mlx/core/errors.h"
#include "mlx/core/object_pool.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"

namespace mlx::core {

// ------------ What a slice covers

std::pair<Shape, Shape> SliceSpec::resolve(const Shape& in) const {
  Shape first = in, extents = in;
  for (size_t i = 0; i < in.size(); i++) {
    int64_t n = in[i], stride = step[i];
    int64_t low = stride < 0 ? -1 : 0, high = stride < 0 ? n - 1 : n;
    auto bound = [&](int64_t at) { return std::clamp(at < 0 ? at + n : at, low, high); };
    int64_t from = bound(start[i]), to = bound(stop[i]);
    int64_t count =
        stride > 0 ? (to - from + stride - 1) / stride : (from - to - stride - 1) / -stride;
    extents[i] = static_cast<ShapeElem>(std::max<int64_t>(count, 0));
    first[i] = static_cast<ShapeElem>(std::max<int64_t>(from, 0));
  }
  return {first, extents};
}

std::pair<int64_t, Strides> SliceSpec::locate(const array& a) const {
  Shape first = resolve(a.shape()).first;
  Strides strides = a.strides();
  int64_t offset = 0;
  for (size_t i = 0; i < strides.size(); i++) {
    offset += first[i] * strides[i];
    strides[i] *= step[i];
  }
  return {offset, strides};
}

SliceSpec SliceSpec::with_batch() const {
  SliceSpec batched = *this;
  batched.start.insert(batched.start.begin(), 0);
  batched.stop.insert(batched.stop.begin(), std::numeric_limits<ShapeElem>::max());
  batched.step.insert(batched.step.begin(), 1);
  return batched;
}

const char* update_mode_name(UpdateMode mode) {
  constexpr const char* names[] = {"replace", "sum", "prod", "max", "min"};
  return names[static_cast<int>(mode)];
}

// ------------ Slice

array Slice::apply(const array& a) {
  return slice(a, spec_.start, spec_.stop, spec_.step, stream());
}

array Slice::apply_to_batch(const array& a) {
  auto spec = spec_.with_batch();
  return slice(a, spec.start, spec.stop, spec.step, stream());
}

array Slice::transposed(const array& cotangent, const array& primal) {
  return slice_update(zeros_like(primal, stream()), cotangent, spec_.start, spec_.stop, spec_.step,
                      stream());
}

// ------------ SliceUpdate

array SliceUpdate::make(const char* op, UpdateMode mode, const array& source, const array& update,
                        SliceSpec spec, Stream s) {
  Shape part = spec.resolve(source.shape()).second;
  // Leading unit axes of the update may be more than the source has.
  array fitting = update;
  while (fitting.ndim() > part.size() && fitting.shape(0) == 1) {
    fitting = squeeze(fitting, 0, s);
  }
  check(fitting.ndim() <= part.size() && broadcast_shapes(fitting.shape(), part) == part, op,
        "An update of shape ", update.shape(), " does not broadcast to the slice of shape ", part,
        " of an array of shape ", source.shape(), ".");
  fitting = broadcast_to(astype(fitting, source.dtype(), s), part, s);
  if (mode == UpdateMode::Replace && part == source.shape() &&
      std::all_of(spec.step.begin(), spec.step.end(), [](int step) { return step == 1; })) {
    return fitting;
  }
  return array(source.shape(), source.dtype(), make_pooled<SliceUpdate>(s, mode, std::move(spec)),
               {source, fitting});
}

array SliceUpdate::part(const array& a) const {
  return slice(a, spec_.start, spec_.stop, spec_.step, stream());
}

array SliceUpdate::updated(UpdateMode mode, const array& source, const array& update) const {
  return make(name(), mode, source, update, spec_, stream());
}

std::vector<array> SliceUpdate::vjp(const std::vector<array>& primals,
                                    const std::vector<array>& cotangents,
                                    const std::vector<int>& argnums,
                                    const std::vector<array>& outputs) {
  Stream s = stream();
  const array &source = primals[0], &update = primals[1], &cotangent = cotangents[0];
  array zero = zeros_like(update, s);
  auto for_source = [&] {
    switch (mode_) {
      case UpdateMode::Replace:
        return updated(UpdateMode::Replace, cotangent, zero);
      case UpdateMode::Sum:
        return cotangent;
      case UpdateMode::Prod:
        return updated(UpdateMode::Prod, cotangent, update);
      default:
        return where(equal(source, outputs[0], s), cotangent, zeros_like(source, s), s);
    }
  };
  auto for_update = [&] {
    array inside = part(cotangent);
    if (mode_ == UpdateMode::Prod) {
      return multiply(inside, part(source), s);
    }
    if (mode_ == UpdateMode::Max || mode_ == UpdateMode::Min) {
      // Where both are equal the source has the derivative.
      return where(not_equal(part(source), part(outputs[0]), s), inside, zero, s);
    }
    return inside;
  };
  std::vector<array> result;
  for (int i : argnums) {
    result.push_back(i == 0 ? for_source() : for_update());
  }
  return result;
}

std::vector<array> SliceUpdate::jvp(const std::vector<array>& primals,
                                    const std::vector<array>& tangents,
                                    const std::vector<int>& argnums) {
  Stream s = stream();
  std::vector<array> all{zeros_like(primals[0], s), zeros_like(primals[1], s)};
  for (size_t k = 0; k < argnums.size(); k++) {
    all[argnums[k]] = tangents[k];
  }
  const array &source = all[0], &update = all[1];
  array held = part(primals[0]);
  switch (mode_) {
    case UpdateMode::Replace:
      return {updated(UpdateMode::Replace, source, update)};
    case UpdateMode::Sum:
      return {updated(UpdateMode::Sum, source, update)};
    case UpdateMode::Prod: {
      array mixed = add(multiply(part(source), primals[1], s), multiply(held, update, s), s);
      return {updated(UpdateMode::Replace, source, mixed)};
    }
    default: {
      array wins =
          mode_ == UpdateMode::Max ? greater(primals[1], held, s) : less(primals[1], held, s);
      return {updated(UpdateMode::Replace, source, where(wins, update, part(source), s))};
    }
  }
}

std::pair<std::vector<array>, std::vector<int>> SliceUpdate::vmap(const std::vector<array>& inputs,
                                                                  const std::vector<int>& axes) {
  int batch = batch_extent(inputs, axes);
  array source = broadcast_batch_first(inputs[0], axes[0], batch, stream());
  array update = batch_first(inputs[1], axes[1], stream());
  return {{make(name(), mode_, source, update, spec_.with_batch(), stream())}, {0}};
}

std::vector<Shape> SliceUpdate::output_shapes(const std::vector<array>& inputs) {
  Shape part = spec_.resolve(inputs[0].shape()).second;
  check(part == inputs[1].shape(), "slice_update", "An update of shape ", inputs[1].shape(),
        " does not fit the slice of shape ", part, " of an array of shape ", inputs[0].shape(),
        ".");
  return {inputs[0].shape()};
}

// ------------ Split

std::vector<std::pair<int, int>> Split::ranges(const Shape& in) const {
  int extent = in[axis_];
  std::vector<std::pair<int, int>> result;
  if (parts_ > 0) {
    check(extent % parts_ == 0, "split", "Axis ", axis_, " of shape ", in, " cannot be split into ",
          parts_, " equal parts.");
    for (int i = 0; i < parts_; i++) {
      result.push_back({extent / parts_ * i, extent / parts_ * (i + 1)});
    }
    return result;
  }
  auto bound = [&](int64_t at) {
    return static_cast<int>(std::clamp<int64_t>(at < 0 ? at + extent : at, 0, extent));
  };
  int begin = 0;
  for (int index : indices_) {
    int end = bound(index);
    result.push_back({begin, std::max(begin, end)});
    begin = end;
  }
  result.push_back({begin, extent});
  return result;
}

std::vector<array> Split::apply(const array& a, int axis) const {
  return parts_ > 0 ? split(a, parts_, axis, stream()) : split(a, indices_, axis, stream());
}

std::vector<Shape> Split::output_shapes(const std::vector<array>& inputs) {
  std::vector<Shape> shapes;
  for (auto [begin, end] : ranges(inputs[0].shape())) {
    shapes.push_back(inputs[0].shape());
    shapes.back()[axis_] = end - begin;
  }
  return shapes;
}

std::vector<array> Split::vjp(const std::vector<array>& primals,
                              const std::vector<array>& cotangents, const std::vector<int>&,
                              const std::vector<array>&) {
  auto parts = ranges(primals[0].shape());
  bool cover = true;
  for (size_t i = 1; i < parts.size(); i++) {
    cover &= parts[i].first == parts[i - 1].second;
  }
  if (cover) {
    return {concatenate(cotangents, axis_, stream())};
  }
  // Indices that go back make parts that overlap.
  array total = zeros_like(primals[0], stream());
  for (size_t i = 0; i < parts.size(); i++) {
    Shape start(primals[0].ndim(), 0), stop = primals[0].shape();
    start[axis_] = parts[i].first;
    stop[axis_] = parts[i].second;
    total = slice_update_add(total, cotangents[i], start, stop, stream());
  }
  return {total};
}

std::vector<array> Split::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                              const std::vector<int>&) {
  return apply(tangents[0], axis_);
}

std::pair<std::vector<array>, std::vector<int>> Split::vmap(const std::vector<array>& inputs,
                                                            const std::vector<int>& axes) {
  if (axes[0] < 0) {
    auto parts = apply(inputs[0], axis_);
    std::vector<int> none(parts.size(), -1);
    return {std::move(parts), std::move(none)};
  }
  auto parts = apply(moveaxis(inputs[0], axes[0], 0, stream()), axis_ + 1);
  std::vector<int> first(parts.size(), 0);
  return {std::move(parts), std::move(first)};
}

}  // namespace mlx::core
