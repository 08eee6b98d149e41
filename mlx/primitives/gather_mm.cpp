// How transforms see gathered and segmented products.
#include "mlx/primitives/gather_mm.h"

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/primitives/indices.h"
#include "mlx/primitives/matmul.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

namespace {

/** Matrices in the batch of a shape, the axes before `first` left out. */
int64_t count_matrices(const Shape& shape, int first) {
  return static_cast<int64_t>(num_elements(Shape(shape.begin() + first, shape.end() - 2)));
}

/** (batch..., rows, cols) with the batch as one axis. */
array flat_batch(const array& x, Stream s) {
  int count = static_cast<int>(count_matrices(x.shape(), 0));
  return reshape(x, {count, x.shape(-2), x.shape(-1)}, s);
}

array gathered(const array& a, const array& b, const array& lhs, const array& rhs, Stream s) {
  auto primitive = std::make_shared<GatherMM>(s);
  Shape shape = primitive->output_shapes({a, b, lhs, rhs})[0];
  return array(std::move(shape), a.dtype(), std::move(primitive), {a, b, lhs, rhs});
}

array left_gradient(const std::vector<array>& primals, const array& cotangent, Stream s) {
  const array &a = primals[0], &lhs = primals[2];
  array parts = gathered(cotangent, adjoint(primals[1], s), positions(lhs, s), primals[3], s);
  return add_to_picked(a, lhs, parts, s);
}

/** Sorted by the matrix of b they used, the rows of all products that share one lie together. */
array right_gradient(const std::vector<array>& primals, const array& cotangent, Stream s) {
  const array& b = primals[1];
  array used = flatten(primals[3], s);
  array order = argsort(used, s);
  array sorted = take(used, order, s);
  array a_rows = take(flat_batch(primals[0], s), take(flatten(primals[2], s), order, s), 0, s);
  array g_rows = take(flat_batch(cotangent, s), order, 0, s);
  int rows = a_rows.shape(-2);
  array each = arange(static_cast<double>(count_matrices(b.shape(), 0)), int64, s);
  array bounds =
      stack({searchsorted(sorted, each, "left", s), searchsorted(sorted, each, "right", s)}, -1, s);
  array segments = multiply(astype(bounds, int64, s), array(rows, int64), s);
  array parts =
      segmented_mm(adjoint(flatten(a_rows, 0, 1, s), s), flatten(g_rows, 0, 1, s), segments, s);
  return reshape(parts, b.shape(), s);
}

/** Which steps of the common axis belong to each segment: (..., k). */
array segment_mask(const array& segments, int k, Stream s) {
  array step = arange(static_cast<double>(k), int64, s);
  auto bound = [&](int i) { return expand_dims(take(segments, i, -1, s), -1, s); };
  return logical_and(greater_equal(step, bound(0), s), less(step, bound(1), s), s);
}

array sum_over_batch(const array& x, Stream s) { return sum(flat_batch(x, s), 0, false, s); }

array in_range(const array& mask, const array& x, Stream s) {
  return where(mask, x, zeros({}, x.dtype(), s), s);
}

}  // namespace

array positions(const array& indices, Stream s) {
  return reshape(arange(static_cast<double>(indices.size()), int64, s), indices.shape(), s);
}

array add_to_picked(const array& operand, const array& indices, const array& parts, Stream s) {
  array updates = expand_dims(flat_batch(parts, s), 1, s);
  array zero = zeros_like(flat_batch(operand, s), s);
  return reshape(scatter_add(zero, flatten(indices, s), updates, 0, s), operand.shape(), s);
}

int mapped_count(const std::vector<array>& inputs, const std::vector<int>& axes) {
  for (size_t i = 0; i < inputs.size(); i++) {
    if (axes[i] >= 0) return inputs[i].shape(axes[i]);
  }
  return 1;
}

array mapped_indices(const array& operand, int axis, const array& indices, int index_axis,
                     int count, Stream s) {
  array index = broadcast_batch_first(indices, index_axis, count, s);
  if (axis < 0) return index;
  Shape column(index.ndim(), 1);
  column[0] = count;
  array example = reshape(arange(static_cast<double>(count), int64, s), column, s);
  array matrices(count_matrices(moveaxis(operand, axis, 0, s).shape(), 1), int64);
  return add(index, multiply(example, matrices, s), s);
}

std::vector<Shape> GatherMM::output_shapes(const std::vector<array>& inputs) {
  Shape out = inputs[2].shape();
  out.push_back(inputs[0].shape(-2));
  out.push_back(inputs[1].shape(-1));
  return {out};
}

std::vector<array> GatherMM::jvp(const std::vector<array>& primals,
                                 const std::vector<array>& tangents,
                                 const std::vector<int>& argnums) {
  check_no_index("gather_mm", argnums, 2, 3);
  array result = zeros(output_shapes(primals)[0], primals[0].dtype(), stream());
  for (size_t i = 0; i < argnums.size(); i++) {
    const array& a = argnums[i] == 0 ? tangents[i] : primals[0];
    const array& b = argnums[i] == 1 ? tangents[i] : primals[1];
    result = add(result, gathered(a, b, primals[2], primals[3], stream()), stream());
  }
  return {result};
}

std::vector<array> GatherMM::vjp(const std::vector<array>& primals,
                                 const std::vector<array>& cotangents,
                                 const std::vector<int>& argnums, const std::vector<array>&) {
  check_no_index("gather_mm", argnums, 2, 3);
  std::vector<array> gradients;
  for (int argnum : argnums) {
    gradients.push_back(argnum == 0 ? left_gradient(primals, cotangents[0], stream())
                                    : right_gradient(primals, cotangents[0], stream()));
  }
  return gradients;
}

std::pair<std::vector<array>, std::vector<int>> GatherMM::vmap(const std::vector<array>& inputs,
                                                               const std::vector<int>& axes) {
  int count = mapped_count(inputs, axes);
  auto first = [&](int i) {
    return axes[i] >= 0 ? moveaxis(inputs[i], axes[i], 0, stream()) : inputs[i];
  };
  auto indices = [&](int i) {
    return mapped_indices(inputs[i], axes[i], inputs[i + 2], axes[i + 2], count, stream());
  };
  return {{gathered(first(0), first(1), indices(0), indices(1), stream())}, {0}};
}

std::vector<Shape> SegmentedMM::output_shapes(const std::vector<array>& inputs) {
  Shape out(inputs[2].shape().begin(), inputs[2].shape().end() - 1);
  out.push_back(inputs[0].shape(0));
  out.push_back(inputs[1].shape(1));
  return {out};
}

std::vector<array> SegmentedMM::jvp(const std::vector<array>& primals,
                                    const std::vector<array>& tangents,
                                    const std::vector<int>& argnums) {
  check_no_index("segmented_mm", argnums, 2, 2);
  array result = zeros(output_shapes(primals)[0], primals[0].dtype(), stream());
  for (size_t i = 0; i < argnums.size(); i++) {
    const array& a = argnums[i] == 0 ? tangents[i] : primals[0];
    const array& b = argnums[i] == 1 ? tangents[i] : primals[1];
    result = add(result, segmented_mm(a, b, primals[2], stream()), stream());
  }
  return {result};
}

std::vector<array> SegmentedMM::vjp(const std::vector<array>& primals,
                                    const std::vector<array>& cotangents,
                                    const std::vector<int>& argnums, const std::vector<array>&) {
  check_no_index("segmented_mm", argnums, 2, 2);
  const Stream& s = stream();
  array mask = segment_mask(primals[2], primals[0].shape(1), s);
  std::vector<array> gradients;
  for (int argnum : argnums) {
    if (argnum == 0) {
      array parts = matmul(cotangents[0], adjoint(primals[1], s), s);
      gradients.push_back(sum_over_batch(in_range(expand_dims(mask, -2, s), parts, s), s));
    } else {
      array parts = matmul(adjoint(primals[0], s), cotangents[0], s);
      gradients.push_back(sum_over_batch(in_range(expand_dims(mask, -1, s), parts, s), s));
    }
  }
  return gradients;
}

std::pair<std::vector<array>, std::vector<int>> SegmentedMM::vmap(const std::vector<array>& inputs,
                                                                  const std::vector<int>& axes) {
  auto first = [&](int i) {
    return axes[i] >= 0 ? moveaxis(inputs[i], axes[i], 0, stream()) : inputs[i];
  };
  if (axes[0] < 0 && axes[1] < 0) {
    return {{segmented_mm(inputs[0], inputs[1], first(2), stream())}, {0}};
  }
  array a = first(0), b = first(1), segments = first(2);
  int count = axes[0] >= 0 ? a.shape(0) : b.shape(0);
  std::vector<array> outputs;
  for (int i = 0; i < count; i++) {
    auto example = [&](const array& x, int axis) { return axis < 0 ? x : take(x, i, 0, stream()); };
    outputs.push_back(segmented_mm(example(a, axes[0]), example(b, axes[1]),
                                   example(segments, axes[2]), stream()));
  }
  return {{stack(outputs, 0, stream())}, {0}};
}

}  // namespace mlx::core
