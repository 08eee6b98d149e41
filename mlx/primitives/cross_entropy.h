// The loss of class indices as one node, and its gradient as another: each one pass over the
// logits.
#pragma once

#include <tuple>

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

/**
 * logsumexp(logits) - logits[target] over the last axis. Inputs: logits (..., classes) of a
 * floating dtype, with at least one class, and targets (...) of int32, uint32 or int64; a target
 * outside the classes counts as a logit of 0. Outputs, in float32 (float64 for float64): the
 * losses; and of shape (..., 2) the maximum of each row and the logarithm of its sum of exp(logits
 * - maximum), which are there for the gradient alone: no derivatives flow through them. They stay
 * apart because their sum would round away the digits that a gradient at large logits needs.
 */
class CrossEntropy : public Described<CrossEntropy, FallbackPrimitive> {
 public:
  using Described::Described;

  auto fields() const { return std::tuple<>(); }

  /** Both outputs for inputs as above. */
  static std::vector<array> outputs_of(const std::vector<array>& inputs, Stream s);

  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "CrossEntropy"; }
  size_t differentiable_inputs(size_t) const override { return 1; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
};

/** (softmax(logits) - onehot(target)) * cotangent, of the dtype of the logits. Inputs: logits, the
 *  cotangent of the losses, targets, and the second output of CrossEntropy, which follows from the
 *  rest. */
class CrossEntropyBackward : public Described<CrossEntropyBackward, FallbackPrimitive> {
 public:
  using Described::Described;

  auto fields() const { return std::tuple<>(); }

  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "CrossEntropyBackward"; }
  size_t differentiable_inputs(size_t) const override { return 2; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }
};

}  // namespace mlx::core
