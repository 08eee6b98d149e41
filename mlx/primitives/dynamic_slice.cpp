// Transforms of slices whose start is an array. A batch of starts makes them gathers and scatters.
#include "mlx/ops.h"
#include "mlx/primitives/indices.h"
#include "mlx/primitives/slice.h"

namespace mlx::core {

namespace {

std::vector<int> behind_batch(const std::vector<int>& axes) {
  std::vector<int> result;
  for (int axis : axes) {
    result.push_back(axis + 1);
  }
  return result;
}

Shape with_front(const Shape& shape, ShapeElem extent) {
  Shape result = shape;
  result.insert(result.begin(), extent);
  return result;
}

// Index arrays of extent `batch` for each of the starts, which have a batch axis at `axis`.
std::vector<array> start_columns(const array& start, int axis, Stream s) {
  return unstack(moveaxis(start, axis, 0, s), 1, s);
}

}  // namespace

// ------------ DynamicSlice

std::vector<array> DynamicSlice::vjp(const std::vector<array>& primals,
                                     const std::vector<array>& cotangents,
                                     const std::vector<int>& argnums, const std::vector<array>&) {
  check_no_index("slice", argnums, 1, 1);
  array zero = zeros_like(primals[0], stream());
  return {slice_update(zero, cotangents[0], primals[1], axes_, stream())};
}

std::vector<array> DynamicSlice::jvp(const std::vector<array>& primals,
                                     const std::vector<array>& tangents,
                                     const std::vector<int>& argnums) {
  check_no_index("slice", argnums, 1, 1);
  return {slice(tangents[0], primals[1], axes_, size_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> DynamicSlice::vmap(const std::vector<array>& inputs,
                                                                   const std::vector<int>& axes) {
  Stream s = stream();
  const array &a = inputs[0], &start = inputs[1];
  if (axes[1] < 0) {
    array batched = moveaxis(a, axes[0], 0, s);
    Shape size = with_front(size_, batched.shape(0));
    return {{slice(batched, start, behind_batch(axes_), size, s)}, {0}};
  }
  auto indices = start_columns(start, axes[1], s);
  if (axes[0] < 0) {
    return {{gather(a, indices, axes_, size_, s)}, {0}};
  }
  indices.insert(indices.begin(), arange(start.shape(axes[1]), s));
  auto gather_axes = behind_batch(axes_);
  gather_axes.insert(gather_axes.begin(), 0);
  array out = gather(moveaxis(a, axes[0], 0, s), indices, gather_axes, with_front(size_, 1), s);
  return {{squeeze(out, 1, s)}, {0}};
}

// ------------ DynamicSliceUpdate

std::vector<array> DynamicSliceUpdate::vjp(const std::vector<array>& primals,
                                           const std::vector<array>& cotangents,
                                           const std::vector<int>& argnums,
                                           const std::vector<array>&) {
  check_no_index("slice_update", argnums, 2, 2);
  const array &update = primals[1], &start = primals[2];
  std::vector<array> result;
  for (int i : argnums) {
    if (i == 0) {
      array zero = zeros_like(update, stream());
      result.push_back(slice_update(cotangents[0], zero, start, axes_, stream()));
    } else {
      result.push_back(slice(cotangents[0], start, axes_, update.shape(), stream()));
    }
  }
  return result;
}

std::vector<array> DynamicSliceUpdate::jvp(const std::vector<array>& primals,
                                           const std::vector<array>& tangents,
                                           const std::vector<int>& argnums) {
  check_no_index("slice_update", argnums, 2, 2);
  std::vector<array> all{zeros_like(primals[0], stream()), zeros_like(primals[1], stream()),
                         primals[2]};
  for (size_t k = 0; k < argnums.size(); k++) {
    all[argnums[k]] = tangents[k];
  }
  return {slice_update(all[0], all[1], all[2], axes_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> DynamicSliceUpdate::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  Stream s = stream();
  int batch = batch_extent(inputs, axes);
  array source = broadcast_batch_first(inputs[0], axes[0], batch, s);
  array update = broadcast_batch_first(inputs[1], axes[1], batch, s);
  auto source_axes = behind_batch(axes_);
  if (axes[2] < 0) {
    return {{slice_update(source, update, inputs[2], source_axes, s)}, {0}};
  }
  auto indices = start_columns(inputs[2], axes[2], s);
  indices.insert(indices.begin(), arange(batch, s));
  source_axes.insert(source_axes.begin(), 0);
  return {{scatter(source, indices, expand_dims(update, 1, s), source_axes, s)}, {0}};
}

}  // namespace mlx::core
