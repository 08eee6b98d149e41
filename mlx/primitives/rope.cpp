// Rotary position encoding from plain ops, its derivatives, and batching by one more leading axis.
#include "mlx/primitives/rope.h"

#include <algorithm>
#include <cmath>

#include "mlx/ops.h"

namespace mlx::core {

namespace {

/** Angular frequencies of the pairs in `dtype`. */
array frequencies(const RopeSpec& spec, const std::vector<array>& inputs, Dtype dtype, Stream s) {
  if (spec.has_freqs) {
    return reciprocal(inputs[2], s);
  }
  array steps = arange(0.0, 0.5 * spec.dims, 1.0, float64, s);
  array logs = multiply(steps, array(rope_step(spec) * std::log(2.0), float64), s);
  return astype(exp(logs, s), dtype, s);
}

/** Angles of shape (offset axes, 1, ..., length, pairs). */
array angles(const RopeSpec& spec, const std::vector<array>& inputs, Dtype dtype, Stream s) {
  const array &x = inputs[0], &offset = inputs[1];
  Shape length(x.ndim(), 1), first(x.ndim(), 1);
  length[x.ndim() - 2] = x.shape(-2);
  std::copy(offset.shape().begin(), offset.shape().end(), first.begin());
  array steps = reshape(arange(0.0, x.shape(-2), 1.0, offset.dtype(), s), length, s);
  array positions = astype(add(steps, reshape(offset, first, s), s), dtype, s);
  float scale = spec.inverse ? -spec.scale : spec.scale;
  array scaled = multiply(positions, array(scale, dtype), s);
  return multiply(scaled, frequencies(spec, inputs, dtype, s), s);
}

array last_axis(const array& x, int start, int stop, int step, Stream s) {
  Shape from(x.ndim(), 0), to = x.shape(), steps(x.ndim(), 1);
  from[x.ndim() - 1] = start;
  to[x.ndim() - 1] = stop;
  steps[x.ndim() - 1] = step;
  return slice(x, from, to, steps, s);
}

}  // namespace

double rope_step(const RopeSpec& spec) {
  double pairs = 0.5 * spec.dims;
  return -std::log2(static_cast<double>(spec.base)) / pairs;
}

RopeExtents::RopeExtents(const array& x, const array& offset)
    : offset_axes(offset.size() == 1 ? 0 : offset.ndim()), length(x.shape(-2)), width(x.shape(-1)) {
  for (size_t i = 0; i + 2 < x.ndim(); i++) {
    (i < offset_axes ? groups : shared) *= x.shape()[i];
  }
}

std::vector<array> Rope::fallback(const std::vector<array>& inputs) const {
  auto s = stream();
  const array& x = inputs[0];
  Dtype dtype = x.dtype() == float64 ? float64 : float32;
  int dims = spec_.dims, pairs = dims / 2;
  array theta = angles(spec_, inputs, dtype, s);
  array c = cos(theta, s), sn = sin(theta, s);
  bool traditional = spec_.traditional;
  array first = traditional ? last_axis(x, 0, dims, 2, s) : last_axis(x, 0, pairs, 1, s);
  array second = traditional ? last_axis(x, 1, dims, 2, s) : last_axis(x, pairs, dims, 1, s);
  first = astype(first, dtype, s);
  second = astype(second, dtype, s);
  array turned_first = subtract(multiply(first, c, s), multiply(second, sn, s), s);
  array turned_second = add(multiply(first, sn, s), multiply(second, c, s), s);
  std::vector<array> parts{astype(turned_first, x.dtype(), s), astype(turned_second, x.dtype(), s)};
  if (traditional) {
    parts = {flatten(stack(parts, -1, s), -2, -1, s)};
  }
  if (dims < x.shape(-1)) {
    parts.push_back(last_axis(x, dims, x.shape(-1), 1, s));
  }
  return {parts.size() == 1 ? parts[0] : concatenate(parts, -1, s)};
}

array Rope::turned(const array& x, const std::vector<array>& like, bool back) const {
  RopeSpec spec = spec_;
  spec.inverse ^= back;
  std::vector<array> inputs = like;
  inputs[0] = x;
  return array(x.shape(), x.dtype(), std::make_shared<Rope>(stream(), spec), std::move(inputs));
}

std::vector<array> Rope::jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                             const std::vector<int>& argnums) {
  if (argnums.back() == 2) {
    return FallbackPrimitive::jvp(primals, tangents, argnums);
  }
  return {argnums[0] == 0 ? turned(tangents[0], primals, false) : zeros_like(primals[0], stream())};
}

std::vector<array> Rope::vjp(const std::vector<array>& primals,
                             const std::vector<array>& cotangents, const std::vector<int>& argnums,
                             const std::vector<array>& outputs) {
  if (argnums.back() == 2) {
    return FallbackPrimitive::vjp(primals, cotangents, argnums, outputs);
  }
  std::vector<array> grads;
  for (int i : argnums) {
    grads.push_back(i == 0 ? turned(cotangents[0], primals, true)
                           : zeros_like(primals[i], stream()));
  }
  return grads;
}

std::pair<std::vector<array>, std::vector<int>> Rope::vmap(const std::vector<array>& inputs,
                                                           const std::vector<int>& axes) {
  if (spec_.has_freqs && axes[2] >= 0) {
    return FallbackPrimitive::vmap(inputs, axes);
  }
  auto s = stream();
  array x = inputs[0], offset = inputs[1];
  bool is_leading = axes[0] >= 0 && axes[0] < static_cast<int>(x.ndim()) - 2;
  if (is_leading && axes[1] < 0 && offset.ndim() == 0) {
    return {{turned(x, inputs, false)}, {axes[0]}};
  }
  if (axes[1] >= 0) {
    offset = moveaxis(offset, axes[1], 0, s);
  } else if (offset.ndim() > 0) {
    offset = expand_dims(offset, 0, s);
  }
  if (axes[0] >= 0) {
    x = moveaxis(x, axes[0], 0, s);
  } else {
    Shape shape = x.shape();
    shape.insert(shape.begin(), offset.shape(0));
    x = broadcast_to(x, shape, s);
  }
  std::vector<array> batched = inputs;
  batched[1] = offset;
  return {{turned(x, batched, false)}, {0}};
}

}  // namespace mlx::core
