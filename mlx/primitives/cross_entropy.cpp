// Cross-entropy and its gradient from plain ops, and batching of both by one more leading axis.
#include "mlx/primitives/cross_entropy.h"

#include "mlx/ops.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

namespace {

Dtype loss_dtype(const array& logits) { return logits.dtype() == float64 ? float64 : float32; }

std::vector<array> with_leading_axis(const std::vector<array>& inputs, const std::vector<int>& axes,
                                     Stream s) {
  return all_batch_first(inputs, axes, batch_extent(inputs, axes), s);
}

array gradient_of(const std::vector<array>& inputs, Stream s) {
  return array(inputs[0].shape(), inputs[0].dtype(), std::make_shared<CrossEntropyBackward>(s),
               inputs);
}

}  // namespace

std::vector<array> CrossEntropy::outputs_of(const std::vector<array>& inputs, Stream s) {
  auto node = std::make_shared<CrossEntropy>(s);
  return array::make_arrays(node->output_shapes(inputs),
                            std::vector<Dtype>(2, loss_dtype(inputs[0])), node, inputs);
}

std::vector<Shape> CrossEntropy::output_shapes(const std::vector<array>& inputs) {
  Shape pairs = inputs[1].shape();
  pairs.push_back(2);
  return {inputs[1].shape(), pairs};
}

std::vector<array> CrossEntropy::fallback(const std::vector<array>& inputs) const {
  auto s = stream();
  const array& targets = inputs[1];
  array x = astype(inputs[0], loss_dtype(inputs[0]), s);
  array classes = array(x.shape(-1), targets.dtype()), zero = array(0, targets.dtype());
  array valid = logical_and(greater_equal(targets, zero, s), less(targets, classes, s), s);
  array index = expand_dims(where(valid, targets, zero, s), -1, s);
  array score = squeeze(take_along_axis(x, index, -1, s), -1, s);
  score = where(valid, score, array(0, x.dtype()), s);
  array shift = max(x, -1, false, s);
  array rest = logsumexp(subtract(x, expand_dims(shift, -1, s), s), -1, false, s);
  return {add(subtract(shift, score, s), rest, s), stack({shift, rest}, -1, s)};
}

std::vector<array> CrossEntropy::vjp(const std::vector<array>& primals,
                                     const std::vector<array>& cotangents, const std::vector<int>&,
                                     const std::vector<array>& outputs) {
  return {gradient_of({primals[0], cotangents[0], primals[1], outputs[1]}, stream())};
}

std::pair<std::vector<array>, std::vector<int>> CrossEntropy::vmap(const std::vector<array>& inputs,
                                                                   const std::vector<int>& axes) {
  return {outputs_of(with_leading_axis(inputs, axes, stream()), stream()), {0, 0}};
}

std::vector<array> CrossEntropyBackward::fallback(const std::vector<array>& inputs) const {
  auto s = stream();
  array x = astype(inputs[0], loss_dtype(inputs[0]), s);
  array classes = arange(0.0, x.shape(-1), 1.0, inputs[2].dtype(), s);
  array onehot = astype(equal(expand_dims(inputs[2], -1, s), classes, s), x.dtype(), s);
  array distance = subtract(softmax(x, -1, true, s), onehot, s);
  return {astype(multiply(distance, expand_dims(inputs[1], -1, s), s), inputs[0].dtype(), s)};
}

std::pair<std::vector<array>, std::vector<int>> CrossEntropyBackward::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  return {{gradient_of(with_leading_axis(inputs, axes, stream()), stream())}, {0}};
}

}  // namespace mlx::core
