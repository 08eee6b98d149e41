// Scaled dot-product attention: from plain ops, and as one node that never holds all scores.
#pragma once

#include <optional>

#include "mlx/primitives/fallback.h"

namespace mlx::core {

struct AttentionSpec {
  float scale;
  bool causal, has_mask;

  bool operator==(const AttentionSpec&) const = default;
};

/** Attention from plain ops. Queries (B, H, L, D), keys (B, K, S, D) and values (B, K, S, E) of one
 *  floating dtype; a mask of bool or that dtype that broadcasts to (B, H, L, S); sinks (H). */
array attention_from_ops(const array& queries, const array& keys, const array& values, float scale,
                         bool causal, const std::optional<array>& mask,
                         const std::optional<array>& sinks, Stream s);

/** The same for a block of queries at a time. Inputs queries, keys, values and, if there is one, a
 *  mask of the full shape of the scores. Not for float64; on a GPU for at most 256 columns. */
class Attention : public FallbackPrimitive {
 public:
  Attention(Stream stream, AttentionSpec spec) : FallbackPrimitive(stream), spec_(spec) {}

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  std::vector<array> fallback(const std::vector<array>& inputs) const override;
  const char* name() const override { return "Attention"; }
  bool is_equivalent(const Primitive& other) const override {
    return spec_ == static_cast<const Attention&>(other).spec_;
  }
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  const AttentionSpec& spec() const { return spec_; }

 private:
  AttentionSpec spec_;
};

}  // namespace mlx::core
