// Softmax over a run of neighbouring axes as one node.
#pragma once

#include "mlx/primitives/fallback.h"

namespace mlx::core {

/**
 * exp(x - max) / sum(exp(x - max)) over the axes [first, last] of an inexact real array. Computed
 * in float32 for the half types; each result is within 4 ULP (plus the rounding to a half type).
 */
class Softmax : public BuiltinPrimitive {
 public:
  Softmax(Stream stream, int first, int last)
      : BuiltinPrimitive(stream), first_(first), last_(last) {}

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  const char* name() const override { return "Softmax"; }
  bool is_equivalent(const Primitive& other) const override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

  int first() const { return first_; }
  int last() const { return last_; }

 private:
  int first_, last_;
};

/** y * (d - sum(d * y)) over the last `count` axes: the Jacobian of a softmax with result y, which
 *  is symmetric, applied to d. Inputs y and d. */
class SoftmaxJacobian : public FallbackPrimitive {
 public:
  SoftmaxJacobian(Stream stream, int count) : FallbackPrimitive(stream), count_(count) {}

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  std::vector<array> fallback(const std::vector<array>& inputs) const override;
  const char* name() const override { return "SoftmaxJacobian"; }
  bool is_equivalent(const Primitive& other) const override {
    return count_ == static_cast<const SoftmaxJacobian&>(other).count_;
  }
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }
  int count() const { return count_; }

 private:
  int count_;
};

}  // namespace mlx::core
