// The gated delta rule, the recurrence of linear attention layers, as one node.
#pragma once

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

/**
 * Inputs q and k (B, T, H, D), v (B, T, G, E), gates (B, T, G) or (B, T, G, D), beta (B, T, G), the
 * state (B, G, E, D), all float32, and a bool mask (B, T) if there; H divides G. Outputs
 * (B, T, G, E) and the last state.
 */
class GatedDelta : public Described<GatedDelta, FallbackPrimitive> {
 public:
  using Described::Described;

  /** The outputs of a node on stream `s`. */
  static std::vector<array> apply(const std::vector<array>& inputs, Stream s);

  Arrays fallback(const Arrays& inputs) const override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  std::vector<Shape> output_shapes(const Arrays& inputs) override {
    return {inputs[2].shape(), inputs[5].shape()};
  }
  const char* name() const override { return "GatedDelta"; }
  auto fields() const { return std::tie(); }
};

}  // namespace mlx::core
