// Softmax over a run of neighbouring axes as one node.
#pragma once

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

/**
 * exp(x - max) / sum(exp(x - max)) over the axes [first, last] of an inexact real array. Computed
 * in float32 for the half types; each result is within 4 ULP (plus the rounding to a half type).
 */
class Softmax : public Described<Softmax> {
 public:
  Softmax(Stream stream, int first, int last) : Described(stream), first_(first), last_(last) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "Softmax"; }
  auto fields() const { return std::tie(first_, last_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }

  int first() const { return first_; }
  int last() const { return last_; }

 private:
  int first_, last_;
};

/** y * (d - sum(d * y)) over the last `count` axes: the Jacobian of a softmax with result y, which
 *  is symmetric, applied to d. Inputs y and d. */
class SoftmaxJacobian : public Described<SoftmaxJacobian, FallbackPrimitive> {
 public:
  SoftmaxJacobian(Stream stream, int count) : Described(stream), count_(count) {}

  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "SoftmaxJacobian"; }
  auto fields() const { return std::tie(count_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }
  int count() const { return count_; }

 private:
  int count_;
};

}  // namespace mlx::core
