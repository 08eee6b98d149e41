// Scaled dot-product attention as one node, forward and backward, neither of which holds the scores
// of all queries at a time.
#pragma once

#include <tuple>

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

struct AttentionSpec {
  float scale;
  bool causal, has_mask, has_sinks;

  auto fields() const { return std::tie(scale, causal, has_mask, has_sinks); }
};

/** What the nodes take, by name: inputs of Attention up to the sinks, of AttentionBackward all. */
struct AttentionInputs {
  AttentionInputs(const AttentionSpec& spec, const std::vector<array>& inputs);

  const array &queries, &keys, &values;
  const array *mask = nullptr, *sinks = nullptr;
  const array *cotangent = nullptr, *result = nullptr, *logsumexp = nullptr;
};

/** Inputs: queries (B, H, L, D), keys (B, K, S, D) and values (B, K, S, E) of one floating dtype,
 *  where K divides H; then, as the spec says, a mask of bool or that dtype with four axes, each of
 *  extent 1 or that of the scores (B, H, L, S), and sinks (H) of that dtype.
 *
 *  Outputs: the result (B, H, L, E), and for each row the logarithm of the sum of the exponentials
 *  of its scores, the sink's included, of shape (B, H, L) in float32 (float64 for float64). A row
 *  that sees no key takes the mean of all values, unless it has a sink; its second output is the
 *  lowest finite number. */
class Attention : public Described<Attention, FallbackPrimitive> {
 public:
  Attention(Stream stream, AttentionSpec spec) : Described(stream), spec_(spec) {}

  /** Both outputs for inputs as above. */
  static std::vector<array> outputs_of(const std::vector<array>& inputs, AttentionSpec spec,
                                       Stream s);

  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "Attention"; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  auto fields() const { return std::tie(spec_); }
  const AttentionSpec& spec() const { return spec_; }

 private:
  AttentionSpec spec_;
};

/** Gradients of Attention's result. Inputs: those of Attention, the result's cotangent, and both
 *  outputs of Attention, through which no derivatives flow: all follows from the rest.
 *
 *  Outputs, of the dtype of the queries: the gradients of queries, keys and values; if
 *  `mask_gradient`, that of the scores (B, H, L, S), which is that of a mask before it was
 * broadcast; if there are sinks, theirs (H). Bool masks have none. Scores that a mask or the order
 * hides get no gradient, in rows that see no key either. */
class AttentionBackward : public Described<AttentionBackward, FallbackPrimitive> {
 public:
  AttentionBackward(Stream stream, AttentionSpec spec, bool mask_gradient)
      : Described(stream), spec_(spec), mask_gradient_(mask_gradient) {}

  static std::vector<array> outputs_of(const std::vector<array>& inputs, AttentionSpec spec,
                                       bool mask_gradient, Stream s);

  auto fields() const { return std::tie(spec_, mask_gradient_); }
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "AttentionBackward"; }
  size_t differentiable_inputs(size_t inputs) const override { return inputs - 2; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const AttentionSpec& spec() const { return spec_; }
  bool mask_gradient() const { return mask_gradient_; }

 private:
  AttentionSpec spec_;
  bool mask_gradient_;
};

}  // namespace mlx::core
