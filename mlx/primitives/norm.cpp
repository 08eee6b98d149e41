// Fallbacks and derivatives of the norms.
#include "mlx/primitives/norm.h"

#include <algorithm>
#include <numeric>

#include "mlx/ops.h"

namespace mlx::core {

namespace {

/** Half types compute in float32. */
array widened(const array& x, Stream s) { return x.dtype().size() < 4 ? astype(x, float32, s) : x; }

struct Normalized {
  array value;    // (x - mean) * inverse
  array inverse;  // 1 / sqrt(variance + eps), with extent 1 in the last axis
};

Normalized normalized(const array& x, const NormSpec& spec, Stream s) {
  array centred = spec.kind == NormSpec::Layer ? subtract(x, mean(x, -1, true, s), s) : x;
  array variance = mean(square(centred, s), -1, true, s);
  array inverse = rsqrt(add(variance, array(spec.eps, x.dtype()), s), s);
  return {multiply(centred, inverse, s), inverse};
}

std::vector<int> leading_axes(const array& x) {
  std::vector<int> axes(x.ndim() - 1);
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

}  // namespace

std::vector<array> Norm::fallback(const std::vector<array>& inputs) const {
  auto s = stream();
  Dtype dtype = inputs[0].dtype();
  array y = normalized(widened(inputs[0], s), spec_, s).value;
  if (spec_.has_weight) y = multiply(y, widened(inputs[1], s), s);
  if (spec_.has_bias) y = add(y, widened(inputs.back(), s), s);
  return {astype(y, dtype, s)};
}

std::vector<array> Norm::vjp(const std::vector<array>& primals,
                             const std::vector<array>& cotangents, const std::vector<int>& argnums,
                             const std::vector<array>&) {
  auto node = std::make_shared<NormBackward>(stream(), spec_);
  std::vector<array> inputs{primals[0]};
  if (spec_.has_weight) inputs.push_back(primals[1]);
  inputs.push_back(cotangents[0]);
  auto shapes = node->output_shapes(inputs);
  auto all = array::make_arrays(shapes, std::vector<Dtype>(shapes.size(), primals[0].dtype()), node,
                                inputs);
  std::vector<array> grads;
  for (int i : argnums) grads.push_back(all[i]);
  return grads;
}

std::pair<std::vector<array>, std::vector<int>> Norm::vmap(const std::vector<array>& inputs,
                                                           const std::vector<int>& axes) {
  bool only_x = std::all_of(axes.begin() + 1, axes.end(), [](int axis) { return axis < 0; });
  if (!only_x || axes[0] < 0) {
    return FallbackPrimitive::vmap(inputs, axes);
  }
  auto batched = inputs;
  bool is_last = axes[0] == static_cast<int>(inputs[0].ndim()) - 1;
  if (is_last) batched[0] = moveaxis(inputs[0], axes[0], 0, stream());
  array out(batched[0].shape(), batched[0].dtype(), std::make_shared<Norm>(stream(), spec_),
            batched);
  return {{out}, {is_last ? 0 : axes[0]}};
}

std::vector<array> NormBackward::fallback(const std::vector<array>& inputs) const {
  auto s = stream();
  Dtype dtype = inputs[0].dtype();
  auto norm = normalized(widened(inputs[0], s), spec_, s);
  array cotangent = widened(inputs.back(), s);
  array g = spec_.has_weight ? multiply(cotangent, widened(inputs[1], s), s) : cotangent;
  array along = mean(multiply(g, norm.value, s), -1, true, s);
  array rest = subtract(g, multiply(norm.value, along, s), s);
  if (spec_.kind == NormSpec::Layer) rest = subtract(rest, mean(g, -1, true, s), s);
  std::vector<array> grads{astype(multiply(rest, norm.inverse, s), dtype, s)};
  auto axes = leading_axes(inputs[0]);
  if (spec_.has_weight) {
    grads.push_back(astype(sum(multiply(cotangent, norm.value, s), axes, false, s), dtype, s));
  }
  if (spec_.has_bias) grads.push_back(astype(sum(cotangent, axes, false, s), dtype, s));
  return grads;
}

std::vector<Shape> NormBackward::output_shapes(const std::vector<array>& inputs) {
  std::vector<Shape> shapes{inputs[0].shape()};
  shapes.resize(1 + spec_.has_weight + spec_.has_bias, Shape{inputs[0].shape(-1)});
  return shapes;
}

}  // namespace mlx::core
