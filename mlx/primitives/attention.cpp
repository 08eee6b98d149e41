// Attention from plain ops, its derivative and batching.
#include "mlx/primitives/attention.h"

#include <algorithm>
#include <limits>

#include "mlx/core/object_pool.h"
#include "mlx/ops.h"
#include "mlx/primitives/broadcast.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

/** True where query i may look at key j: the last query sees all keys. */
array causal_mask(int queries, int keys, Stream s) {
  array row = expand_dims(arange(keys - queries, keys, 1, s), 1, s);
  return greater_equal(row, expand_dims(arange(0, keys, 1, s), 0, s), s);
}

/** Splits the head axis (third from the end) into groups of `repeats`, if there is one. */
array split_heads(const array& a, int repeats, Stream s) {
  if (repeats == 1 || a.ndim() < 3) {
    return a;
  }
  int axis = static_cast<int>(a.ndim()) - 3;
  if (a.shape(axis) == 1) {
    return expand_dims(a, axis, s);
  }
  return unflatten(a, axis, {a.shape(axis) / repeats, repeats}, s);
}

array apply_mask(const array& scores, const array& mask, Stream s) {
  if (mask.dtype() != bool_) {
    return add(scores, astype(mask, scores.dtype(), s), s);
  }
  return where(mask, scores, array(finfo(scores.dtype()).min, scores.dtype()), s);
}

/** The scores with one more column: the sink of each head. */
array with_sinks(const array& scores, const array& sinks, Stream s) {
  Shape shape(scores.ndim(), 1), full = scores.shape();
  for (int i = 1; i < static_cast<int>(scores.ndim()) - 2; i++) shape[i] = scores.shape(i);
  full.back() = 1;
  return concatenate({scores, broadcast_to(reshape(sinks, shape, s), full, s)}, -1, s);
}

array without_last(const array& weights, Stream s) {
  Shape stop = weights.shape();
  stop.back()--;
  return slice(weights, Shape(weights.ndim(), 0), stop, s);
}

Dtype statistics_dtype(const array& queries) {
  return queries.dtype() == float64 ? float64 : float32;
}

/** Of each row, in float32 or wider. */
array logarithm_of_sums(const array& scores, Stream s) {
  Dtype dtype = statistics_dtype(scores);
  if (scores.size() > 0) return logsumexp(astype(scores, dtype, s), -1, false, s);
  Shape rows = scores.shape();
  rows.pop_back();
  return full(rows, array(-std::numeric_limits<float>::infinity(), dtype), s);
}

/** Both outputs where there are no heads. */
std::vector<array> without_heads(const AttentionInputs& in, Stream s) {
  Shape shape = in.queries.shape(), rows = shape;
  shape.back() = in.values.shape(-1);
  rows.pop_back();
  return {zeros(shape, in.queries.dtype(), s), zeros(rows, statistics_dtype(in.queries), s)};
}

/** Folds the mapped axes of inputs into one axis of the operands: into the batch, or into the heads
 *  where there are sinks, since those belong to heads. */
class Fold {
 public:
  Fold(const AttentionSpec& spec, const std::vector<array>& inputs, const std::vector<int>& axes,
       Stream s)
      : stream_(s), position_(spec.has_sinks ? 1 : 0) {
    for (size_t i = 0; i < inputs.size(); i++) {
      if (axes[i] >= 0) size_ = inputs[i].shape(axes[i]);
    }
    extent_ = example_shape(inputs[0], axes[0])[position_];
    for (int i = 0; i < static_cast<int>(inputs.size()); i++) {
      bool is_mask = spec.has_mask && i == 3;
      bool is_sinks = spec.has_sinks && i == 3 + spec.has_mask;
      folded_.push_back(is_mask    ? folded_mask(inputs[i], axes[i])
                        : is_sinks ? folded(inputs[i], axes[i], 0)
                                   : folded(inputs[i], axes[i], position_));
    }
  }

  /** Whether there are no examples, so that extents cannot be told from the folded ones. */
  static bool is_empty(const std::vector<array>& inputs, const std::vector<int>& axes) {
    bool empty = false;
    for (size_t i = 0; i < inputs.size(); i++) {
      empty |= axes[i] >= 0 && inputs[i].shape(axes[i]) == 0;
    }
    return empty;
  }

  const std::vector<array>& inputs() const { return folded_; }

  /** Splits the axis again; the mapped one comes first of the two. Sinks have no other axis. */
  std::pair<std::vector<array>, std::vector<int>> unfold(std::vector<array> outputs) const {
    std::vector<int> axes;
    for (array& out : outputs) {
      axes.push_back(out.ndim() == 1 ? 0 : position_);
      out = unflatten(out, axes.back(), {size_, out.shape(axes.back()) / size_}, stream_);
    }
    return {std::move(outputs), std::move(axes)};
  }

 private:
  static Shape example_shape(const array& a, int axis) {
    Shape shape = a.shape();
    if (axis >= 0) shape.erase(shape.begin() + axis);
    return shape;
  }

  array folded(const array& a, int axis, int position) const {
    return flatten(spread(a, axis, position), position, position + 1, stream_);
  }

  /** With the mapped axis at `position`, also if it is the same for all. */
  array spread(const array& a, int axis, int position) const {
    if (axis >= 0) return moveaxis(a, axis, position, stream_);
    Shape shape = a.shape();
    shape.insert(shape.begin() + position, size_);
    return broadcast_to(expand_dims(a, position, stream_), shape, stream_);
  }

  array folded_mask(const array& mask, int axis) const {
    if (axis < 0 && mask.shape(position_) == 1) return mask;
    array wide = spread(mask, axis, position_);
    Shape shape = wide.shape();
    shape[position_ + 1] = extent_;
    return flatten(broadcast_to(wide, shape, stream_), position_, position_ + 1, stream_);
  }

  Stream stream_;
  int position_, size_ = 0, extent_;
  std::vector<array> folded_;
};

}  // namespace

AttentionInputs::AttentionInputs(const AttentionSpec& spec, const std::vector<array>& inputs)
    : queries(inputs[0]), keys(inputs[1]), values(inputs[2]) {
  size_t next = 3;
  if (spec.has_mask) mask = &inputs[next++];
  if (spec.has_sinks) sinks = &inputs[next++];
  if (next < inputs.size()) {
    cotangent = &inputs[next];
    result = &inputs[next + 1];
    logsumexp = &inputs[next + 2];
  }
}

std::vector<array> Attention::outputs_of(const std::vector<array>& inputs, AttentionSpec spec,
                                         Stream s) {
  auto node = make_pooled<Attention>(s, spec);
  return array::make_arrays(node->output_shapes(inputs),
                            {inputs[0].dtype(), statistics_dtype(inputs[0])}, node, inputs);
}

std::vector<array> Attention::fallback(const std::vector<array>& inputs) const {
  auto s = stream();
  AttentionInputs in(spec_, inputs);
  Dtype dtype = in.queries.dtype();
  if (in.queries.shape(1) == 0) return without_heads(in, s);
  int repeats = in.queries.shape(1) / in.keys.shape(1);
  array q = split_heads(multiply(in.queries, array(spec_.scale, dtype), s), repeats, s);
  array k = repeats > 1 ? expand_dims(in.keys, 2, s) : in.keys;
  array v = repeats > 1 ? expand_dims(in.values, 2, s) : in.values;
  array scores = matmul(q, swapaxes(k, -1, -2, s), s);
  if (spec_.causal) {
    scores = apply_mask(scores, causal_mask(in.queries.shape(2), in.keys.shape(2), s), s);
  }
  if (in.mask) scores = apply_mask(scores, split_heads(*in.mask, repeats, s), s);
  if (in.sinks) scores = with_sinks(scores, *in.sinks, s);
  array weights = softmax(scores, -1, true, s);
  array out = matmul(in.sinks ? without_last(weights, s) : weights, v, s);
  array sums = logarithm_of_sums(scores, s);
  if (repeats > 1) return {flatten(out, 1, 2, s), flatten(sums, 1, 2, s)};
  return {out, sums};
}

std::vector<array> Attention::vjp(const std::vector<array>& primals,
                                  const std::vector<array>& cotangents,
                                  const std::vector<int>& argnums,
                                  const std::vector<array>& outputs) {
  auto s = stream();
  auto is_asked = [&](int i) { return std::count(argnums.begin(), argnums.end(), i) > 0; };
  bool additive = spec_.has_mask && primals[3].dtype() != bool_ && is_asked(3);
  std::vector<array> inputs = primals;
  inputs.insert(inputs.end(), {cotangents[0], outputs[0], outputs[1]});
  auto all = AttentionBackward::outputs_of(inputs, spec_, additive, s);
  std::vector<array> grads;
  for (int i : argnums) {
    if (spec_.has_mask && i == 3) {
      grads.push_back(additive ? sum_to_shape(all[3], primals[3].shape(), s)
                               : zeros_like(primals[3], s));
    } else {
      grads.push_back(i < 3 ? all[i] : all.back());
    }
  }
  return grads;
}

std::pair<std::vector<array>, std::vector<int>> Attention::vmap(const std::vector<array>& inputs,
                                                                const std::vector<int>& axes) {
  if (Fold::is_empty(inputs, axes)) return FallbackPrimitive::vmap(inputs, axes);
  Fold fold(spec_, inputs, axes, stream());
  return fold.unfold(outputs_of(fold.inputs(), spec_, stream()));
}

std::vector<Shape> Attention::output_shapes(const std::vector<array>& inputs) {
  Shape shape = inputs[0].shape(), rows = shape;
  shape.back() = inputs[2].shape(-1);
  rows.pop_back();
  return {shape, rows};
}

std::vector<array> AttentionBackward::outputs_of(const std::vector<array>& inputs,
                                                 AttentionSpec spec, bool mask_gradient, Stream s) {
  auto node = std::make_shared<AttentionBackward>(s, spec, mask_gradient);
  auto shapes = node->output_shapes(inputs);
  return array::make_arrays(shapes, std::vector<Dtype>(shapes.size(), inputs[0].dtype()), node,
                            inputs);
}

std::vector<array> AttentionBackward::fallback(const std::vector<array>& inputs) const {
  auto s = stream();
  AttentionInputs in(spec_, inputs);
  std::vector<array> arguments{in.queries, in.keys, in.values};
  if (mask_gradient_) {
    Shape scores = in.logsumexp->shape();
    scores.push_back(in.keys.shape(2));
    arguments.push_back(broadcast_to(*in.mask, scores, s));
  }
  if (in.sinks) arguments.push_back(*in.sinks);
  auto forward = [&](const std::vector<array>& given) {
    std::vector<array> all = given;
    if (in.mask && !mask_gradient_) all.insert(all.begin() + 3, *in.mask);
    return std::vector<array>{Attention(s, spec_).fallback(all)[0]};
  };
  return core::vjp(forward, arguments, {*in.cotangent}).second;
}

std::pair<std::vector<array>, std::vector<int>> AttentionBackward::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  if (Fold::is_empty(inputs, axes)) return FallbackPrimitive::vmap(inputs, axes);
  Fold fold(spec_, inputs, axes, stream());
  return fold.unfold(outputs_of(fold.inputs(), spec_, mask_gradient_, stream()));
}

std::vector<Shape> AttentionBackward::output_shapes(const std::vector<array>& inputs) {
  AttentionInputs in(spec_, inputs);
  std::vector<Shape> shapes{in.queries.shape(), in.keys.shape(), in.values.shape()};
  if (mask_gradient_) {
    shapes.push_back(in.logsumexp->shape());
    shapes.back().push_back(in.keys.shape(2));
  }
  if (in.sinks) shapes.push_back(in.sinks->shape());
  return shapes;
}

}  // namespace mlx::core
