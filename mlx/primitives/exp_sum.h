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

  std::vector<array> fallback(const std::vector<array>& inputs) const override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  const char* name() const override { return "RunningExpSum"; }
  auto fields() const { return std::tie(axis_, reverse_, inclusive_); }
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  int axis_;
  bool reverse_, inclusive_;
};

/** The node above. */
array running_exp_sum(const array& weights, const array& inside, const array& outside, int axis,
                      bool reverse, bool inclusive, Stream s);

}  // namespace mlx::core
