// Transforms of scatters. Both nodes follow the same rules, given a way to scatter and to read back
// at the same positions.
#include "mlx/primitives/scatter.h"

#include <functional>

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/primitives/gather.h"
#include "mlx/primitives/indices.h"

namespace mlx::core {

namespace {

struct Positions {
  std::function<array(UpdateMode, const array& a, const array& updates)> scatter;
  std::function<array(const array& a)> gather;
};

// 1 where an update is the last one of its element, else 0.
array last_updates(const Positions& at, const array& a, const array& updates, Stream s) {
  Dtype counter = updates.size() > INT32_MAX ? int64 : int32;
  Shape shape = updates.shape();
  array number = zeros(Shape(shape.size(), 1), counter, s);
  // Numbers in row-major order, as the sum of what each axis counts.
  int64_t weight = 1;
  for (int i = static_cast<int>(shape.size()) - 1; i >= 0; i--) {
    Shape along(shape.size(), 1);
    along[i] = shape[i];
    array steps = reshape(arange(0.0, shape[i], 1.0, counter, s), along, s);
    number = add(number, multiply(steps, array(weight, counter), s), s);
    weight *= shape[i];
  }
  number = broadcast_to(number, shape, s);
  array winners =
      at.scatter(UpdateMode::Max, full(a.shape(), array(-1, counter), counter, s), number);
  return astype(equal(at.gather(winners), number, s), updates.dtype(), s);
}

// d out / d update for products, also where updates are zero.
array other_factors(const Positions& at, const array& a, const array& updates, Stream s) {
  array is_zero = equal(updates, zeros_like(updates, s), s);
  array filled = where(is_zero, ones_like(updates, s), updates, s);
  array product = at.gather(at.scatter(UpdateMode::Prod, a, filled));
  array counts = at.scatter(UpdateMode::Sum, zeros_like(a, s), astype(is_zero, a.dtype(), s));
  array zero_count = subtract(at.gather(counts), astype(is_zero, a.dtype(), s), s);
  array rest = divide(product, filled, s);
  return where(equal(zero_count, zeros_like(rest, s), s), rest, zeros_like(rest, s), s);
}

// The share that an update has in its element: 1 where it is the extreme that the element became,
// and equal parts where several are.
array took_over(const Positions& at, const array& a, const array& updates, const array& out,
                Stream s) {
  array wins =
      logical_and(equal(updates, at.gather(out), s), not_equal(at.gather(a), updates, s), s);
  array share = astype(wins, updates.dtype(), s);
  if (!issubdtype(share.dtype(), inexact)) {
    return share;
  }
  array count = at.gather(at.scatter(UpdateMode::Sum, zeros_like(out, s), share));
  return divide(share, maximum(count, ones_like(count, s), s), s);
}

array vjp_of_array(UpdateMode mode, const Positions& at, const array& a, const array& updates,
                   const array& cotangent, const array& out, Stream s) {
  switch (mode) {
    case UpdateMode::Replace:
      return at.scatter(UpdateMode::Replace, cotangent, zeros_like(updates, s));
    case UpdateMode::Sum:
      return cotangent;
    case UpdateMode::Prod:
      return at.scatter(UpdateMode::Prod, cotangent, updates);
    default:
      return where(equal(a, out, s), cotangent, zeros_like(cotangent, s), s);
  }
}

array vjp_of_updates(UpdateMode mode, const Positions& at, const array& a, const array& updates,
                     const array& cotangent, const array& out, Stream s) {
  array read = at.gather(cotangent);
  switch (mode) {
    case UpdateMode::Replace:
      return multiply(read, last_updates(at, a, updates, s), s);
    case UpdateMode::Sum:
      return read;
    case UpdateMode::Prod:
      return multiply(read, other_factors(at, a, updates, s), s);
    default:
      return multiply(read, took_over(at, a, updates, out, s), s);
  }
}

array jvp_of_scatter(UpdateMode mode, const Positions& at, const array& a, const array& updates,
                     const array& a_tangent, const array& updates_tangent, Stream s) {
  switch (mode) {
    case UpdateMode::Replace:
    case UpdateMode::Sum:
      return at.scatter(mode, a_tangent, updates_tangent);
    case UpdateMode::Prod: {
      array moved = multiply(updates_tangent, other_factors(at, a, updates, s), s);
      return at.scatter(UpdateMode::Sum, at.scatter(UpdateMode::Prod, a_tangent, updates), moved);
    }
    default: {
      array out = at.scatter(mode, a, updates);
      array kept = where(equal(a, out, s), a_tangent, zeros_like(a_tangent, s), s);
      array moved = multiply(updates_tangent, took_over(at, a, updates, out, s), s);
      return at.scatter(UpdateMode::Sum, kept, moved);
    }
  }
}

// The tangent of input `i`, zero when it has none.
array tangent_of(int i, const std::vector<array>& primals, const std::vector<array>& tangents,
                 const std::vector<int>& argnums, Stream s) {
  for (size_t k = 0; k < argnums.size(); k++) {
    if (argnums[k] == i) {
      return tangents[k];
    }
  }
  return zeros_like(primals[i], s);
}

array scatter_node(UpdateMode mode, const array& a, const std::vector<array>& indices,
                   const array& updates, const std::vector<int>& axes, Stream s) {
  switch (mode) {
    case UpdateMode::Replace:
      return scatter(a, indices, updates, axes, s);
    case UpdateMode::Sum:
      return scatter_add(a, indices, updates, axes, s);
    case UpdateMode::Prod:
      return scatter_prod(a, indices, updates, axes, s);
    case UpdateMode::Max:
      return scatter_max(a, indices, updates, axes, s);
    default:
      return scatter_min(a, indices, updates, axes, s);
  }
}

Positions slice_positions(const std::vector<array>& primals, const std::vector<int>& axes,
                          Stream s) {
  std::vector<array> indices(primals.begin() + 1, primals.end() - 1);
  const array &a = primals[0], &updates = primals.back();
  Shape sizes(updates.shape().end() - a.ndim(), updates.shape().end());
  return {[=](UpdateMode mode, const array& to, const array& from) {
            return scatter_node(mode, to, indices, from, axes, s);
          },
          [=](const array& from) { return gather(from, indices, axes, sizes, s); }};
}

Positions axis_positions(const array& indices, int axis, Stream s) {
  return {[=](UpdateMode mode, const array& a, const array& updates) {
            return array(a.shape(), a.dtype(), std::make_shared<ScatterAxis>(s, mode, axis),
                         {a, indices, updates});
          },
          [=](const array& from) { return take_along_axis(from, indices, axis, s); }};
}

std::vector<array> vjp_of_scatter(UpdateMode mode, const Positions& at,
                                  const std::vector<array>& primals, const array& cotangent,
                                  const std::vector<int>& argnums, const array& out, Stream s) {
  const array &a = primals[0], &updates = primals.back();
  std::vector<array> result;
  for (int i : argnums) {
    if (i == 0) {
      result.push_back(vjp_of_array(mode, at, a, updates, cotangent, out, s));
    } else if (i + 1 == static_cast<int>(primals.size())) {
      result.push_back(vjp_of_updates(mode, at, a, updates, cotangent, out, s));
    } else {
      result.push_back(zeros_like(primals[i], s));
    }
  }
  return result;
}

}  // namespace

// ------------ Scatter

std::vector<Shape> Scatter::output_shapes(const std::vector<array>& inputs) {
  const array &a = inputs[0], &updates = inputs.back();
  Shape index_shape;
  for (size_t i = 1; i + 1 < inputs.size(); i++) {
    index_shape = broadcast_shapes(index_shape, inputs[i].shape());
  }
  bool fits = updates.ndim() == index_shape.size() + a.ndim();
  for (size_t i = 0; fits && i < updates.ndim(); i++) {
    fits = i < index_shape.size() ? updates.shape(i) == index_shape[i]
                                  : updates.shape(i) <= a.shape(i - index_shape.size());
  }
  check(fits, "scatter", "Updates of shape ", updates.shape(),
        " must have the shape of the indices, ", index_shape,
        ", followed by a slice of the array of shape ", a.shape(), ".");
  return {a.shape()};
}

std::vector<array> Scatter::vjp(const std::vector<array>& primals,
                                const std::vector<array>& cotangents,
                                const std::vector<int>& argnums,
                                const std::vector<array>& outputs) {
  check_no_index("scatter", argnums, 1, static_cast<int>(primals.size()) - 2);
  return vjp_of_scatter(mode_, slice_positions(primals, axes_, stream()), primals, cotangents[0],
                        argnums, outputs[0], stream());
}

std::vector<array> Scatter::jvp(const std::vector<array>& primals,
                                const std::vector<array>& tangents,
                                const std::vector<int>& argnums) {
  check_no_index("scatter", argnums, 1, static_cast<int>(primals.size()) - 2);
  int last = static_cast<int>(primals.size()) - 1;
  return {jvp_of_scatter(mode_, slice_positions(primals, axes_, stream()), primals[0],
                         primals[last], tangent_of(0, primals, tangents, argnums, stream()),
                         tangent_of(last, primals, tangents, argnums, stream()), stream())};
}

std::pair<std::vector<array>, std::vector<int>> Scatter::vmap(const std::vector<array>& inputs,
                                                              const std::vector<int>& axes) {
  Stream s = stream();
  int batch = batch_extent(inputs, axes);
  array a = broadcast_batch_first(inputs[0], axes[0], batch, s);
  array updates = broadcast_batch_first(inputs.back(), axes.back(), batch, s);
  std::vector<array> indices(inputs.begin() + 1, inputs.end() - 1);
  std::vector<int> index_axes(axes.begin() + 1, axes.end() - 1);
  std::vector<int> scatter_axes = axes_;
  bool batched_indices = false;
  for (size_t i = 0; i < scatter_axes.size(); i++) {
    scatter_axes[i]++;
    batched_indices |= index_axes[i] >= 0;
  }
  int index_ndim = static_cast<int>(updates.ndim() - a.ndim());
  if (!batched_indices) {
    return {{scatter_node(mode_, a, indices, moveaxis(updates, 0, index_ndim, s), scatter_axes, s)},
            {0}};
  }
  indices = batch_indices(indices, index_axes, s);
  Shape along(index_ndim + 1, 1);
  along[0] = batch;
  indices.insert(indices.begin(), reshape(arange(batch, s), along, s));
  scatter_axes.insert(scatter_axes.begin(), 0);
  updates = expand_dims(updates, index_ndim + 1, s);
  return {{scatter_node(mode_, a, indices, updates, scatter_axes, s)}, {0}};
}

// ------------ ScatterAxis

std::vector<Shape> ScatterAxis::output_shapes(const std::vector<array>& inputs) {
  const array &a = inputs[0], &updates = inputs[2];
  Shape shape = shape_along_axis("scatter_axis", a, inputs[1], axis_);
  Shape target = updates.shape();
  bool fits = updates.shape() == shape;
  if (fits) {
    target[axis_] = a.shape(axis_);
  }
  check(fits && target == a.shape(), "scatter_axis", "Indices of shape ", inputs[1].shape(),
        " and updates of shape ", updates.shape(), " do not fit an array of shape ", a.shape(),
        ".");
  return {a.shape()};
}

std::vector<array> ScatterAxis::vjp(const std::vector<array>& primals,
                                    const std::vector<array>& cotangents,
                                    const std::vector<int>& argnums,
                                    const std::vector<array>& outputs) {
  check_no_index("put_along_axis", argnums, 1, 1);
  return vjp_of_scatter(mode_, axis_positions(primals[1], axis_, stream()), primals, cotangents[0],
                        argnums, outputs[0], stream());
}

std::vector<array> ScatterAxis::jvp(const std::vector<array>& primals,
                                    const std::vector<array>& tangents,
                                    const std::vector<int>& argnums) {
  check_no_index("put_along_axis", argnums, 1, 1);
  return {jvp_of_scatter(mode_, axis_positions(primals[1], axis_, stream()), primals[0], primals[2],
                         tangent_of(0, primals, tangents, argnums, stream()),
                         tangent_of(2, primals, tangents, argnums, stream()), stream())};
}

std::pair<std::vector<array>, std::vector<int>> ScatterAxis::vmap(const std::vector<array>& inputs,
                                                                  const std::vector<int>& axes) {
  int batch = batch_extent(inputs, axes);
  std::vector<array> batched;
  for (int i = 0; i < 3; i++) {
    batched.push_back(broadcast_batch_first(inputs[i], axes[i], batch, stream()));
  }
  return {{axis_positions(batched[1], axis_ + 1, stream()).scatter(mode_, batched[0], batched[2])},
          {0}};
}

}  // namespace mlx::core
