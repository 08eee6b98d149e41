// Running sums of weighted exponentials: the derivatives of logcumsumexp of every order. Linear in
// the weights, which logarithms are not, so derivatives exist where weights are zero.
#pragma once

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

/**
 * out[i] = exp(outside[i]) * sum of weights[k] * exp(inside[k]) over k <= i along `axis`, k >= i if
 * `reverse`, without i itself unless `inclusive`. Inputs weights, inside and outside have one shape
 * and dtype; computed in logarithms, so only a result that is too large overflows.
 */
class RunningExpSum : public Described<RunningExpSum, FallbackPrimitive> {
 public:
  RunningExpSum(Stream stream, int axis, bool reverse, bool inclusive)
      : Described(stream), axis_(axis), reverse_(reverse), inclusive_(inclusive) {}

  Arrays fallback(const Arrays& inputs) const override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "RunningExpSum"; }
  auto fields() const { return std::tie(axis_, reverse_, inclusive_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }

 private:
  int axis_;
  bool reverse_, inclusive_;
};

/** The node above. */
array running_exp_sum(const array& weights, const array& inside, const array& outside, int axis,
                      bool reverse, bool inclusive, Stream s);

}  // namespace mlx::core
