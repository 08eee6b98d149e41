// Normalisation over the last axis as one node, forward and backward.
#pragma once

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

/** What a norm does: rms divides by the root mean square, layer subtracts the mean first. */
struct NormSpec {
  enum Kind : uint8_t { Rms, Layer };
  Kind kind;
  float eps;
  bool has_weight, has_bias;

  auto fields() const { return std::tie(kind, eps, has_weight, has_bias); }
};

/** Inputs x (..., n), then weight (n) and bias (n) if there; all of one floating dtype. */
class Norm : public Described<Norm, FallbackPrimitive> {
 public:
  Norm(Stream stream, NormSpec spec) : Described(stream), spec_(spec) {}

  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override {
    return spec_.kind == NormSpec::Rms ? "RMSNorm" : "LayerNorm";
  }
  auto fields() const { return std::tie(spec_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }
  const NormSpec& spec() const { return spec_; }

 private:
  NormSpec spec_;
};

/** Gradients of Norm: inputs x, weight if there, and the cotangent; outputs those of x, weight and
 *  bias, as there are. */
class NormBackward : public Described<NormBackward, FallbackPrimitive> {
 public:
  NormBackward(Stream stream, NormSpec spec) : Described(stream), spec_(spec) {}

  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override {
    return spec_.kind == NormSpec::Rms ? "RMSNormBackward" : "LayerNormBackward";
  }
  auto fields() const { return std::tie(spec_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const NormSpec& spec() const { return spec_; }

 private:
  NormSpec spec_;
};

}  // namespace mlx::core
