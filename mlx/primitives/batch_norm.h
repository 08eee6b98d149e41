// Normalisation of channels over all other axes as one node, forward and backward.
#pragma once

#include <tuple>

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

/**
 * Inputs x (..., c), weight (c), bias (c), all of one floating dtype. Outputs: (x - mean) /
 * sqrt(variance + eps) * weight + bias, and the mean and variance (c) over all axes but the last.
 */
class BatchNorm : public Described<BatchNorm, FallbackPrimitive> {
 public:
  BatchNorm(Stream stream, float eps) : Described(stream), eps_(eps) {}

  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "BatchNorm"; }
  auto fields() const { return std::tie(eps_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  float eps() const { return eps_; }

 private:
  float eps_;
};

/**
 * Gradients of BatchNorm. Inputs: x, weight, the mean and variance that it gave, and the cotangents
 * of its three outputs. Outputs: gradients of x, weight and bias.
 */
class BatchNormBackward : public Described<BatchNormBackward, FallbackPrimitive> {
 public:
  BatchNormBackward(Stream stream, float eps) : Described(stream), eps_(eps) {}

  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "BatchNormBackward"; }
  auto fields() const { return std::tie(eps_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  float eps() const { return eps_; }

 private:
  float eps_;
};

}  // namespace mlx::core
