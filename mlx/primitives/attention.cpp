// Attention from plain ops: products, mask, softmax.
#include "mlx/primitives/attention.h"

#include "mlx/ops.h"

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

/** Softmax over the last axis with one more score for each head, whose weight is dropped. */
array softmax_with_sinks(const array& scores, const array& sinks, Stream s) {
  int n = scores.shape(-1);
  Shape shape(scores.ndim(), 1), full = scores.shape();
  for (int i = 1; i < static_cast<int>(scores.ndim()) - 2; i++) shape[i] = scores.shape(i);
  full.back() = 1;
  array column = broadcast_to(reshape(astype(sinks, scores.dtype(), s), shape, s), full, s);
  array weights = softmax(concatenate({scores, column}, -1, s), -1, true, s);
  Shape stop = weights.shape();
  stop.back() = n;
  return slice(weights, Shape(weights.ndim(), 0), stop, s);
}

}  // namespace

array attention_from_ops(const array& queries, const array& keys, const array& values, float scale,
                         bool causal, const std::optional<array>& mask,
                         const std::optional<array>& sinks, Stream s) {
  int repeats = queries.shape(1) / keys.shape(1);
  array q = split_heads(multiply(queries, array(scale, queries.dtype()), s), repeats, s);
  array k = repeats > 1 ? expand_dims(keys, 2, s) : keys;
  array v = repeats > 1 ? expand_dims(values, 2, s) : values;
  array scores = matmul(q, swapaxes(k, -1, -2, s), s);
  if (causal) {
    scores = apply_mask(scores, causal_mask(queries.shape(2), keys.shape(2), s), s);
  } else if (mask) {
    scores = apply_mask(scores, split_heads(*mask, repeats, s), s);
  }
  array weights = sinks ? softmax_with_sinks(scores, *sinks, s) : softmax(scores, -1, true, s);
  array out = matmul(weights, v, s);
  return repeats > 1 ? flatten(out, 1, 2, s) : out;
}

std::vector<array> Attention::fallback(const std::vector<array>& inputs) const {
  std::optional<array> mask;
  if (spec_.has_mask) mask = inputs[3];
  return {attention_from_ops(inputs[0], inputs[1], inputs[2], spec_.scale, spec_.causal, mask,
                             std::nullopt, stream())};
}

std::vector<Shape> Attention::output_shapes(const std::vector<array>& inputs) {
  Shape shape = inputs[0].shape();
  shape.back() = inputs[2].shape(-1);
  return {shape};
}

}  // namespace mlx::core
