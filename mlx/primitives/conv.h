// Convolutions as nodes of the graph: the convolution itself and its derivative for the weight.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"

namespace mlx::core {

/** How a convolution walks; all vectors have one entry for each spatial axis. */
struct ConvParams {
  std::vector<int> stride;
  std::vector<int> padding_lo;
  std::vector<int> padding_hi;
  std::vector<int> kernel_dilation;
  std::vector<int> input_dilation;
  int groups = 1;
  bool flip = false;

  auto fields() const {
    return std::tie(stride, padding_lo, padding_hi, kernel_dilation, input_dilation, groups, flip);
  }
};

/**
 * Inputs: input (n, spatial..., c) and weight (o, spatial..., c / groups). Output:
 * (n, spatial..., o).
 */
class Convolution : public Described<Convolution> {
 public:
  explicit Convolution(Stream stream, ConvParams params)
      : Described(stream), params_(std::move(params)) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "Convolution"; }
  auto fields() const { return std::tie(params_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

  const ConvParams& params() const { return params_; }

  /** Throws std::invalid_argument where the padded input is smaller than the dilated kernel. */
  static Shape output_shape(const Shape& input, const Shape& weight, const ConvParams& params);

 private:
  ConvParams params_;
};

/**
 * Inputs: input (n, spatial..., c) and the output's cotangent (n, spatial..., o). Output: the
 * weight's cotangent (o, kernel..., c / groups) of the Convolution with the same parameters.
 */
class ConvolutionWeightGradient : public Described<ConvolutionWeightGradient> {
 public:
  explicit ConvolutionWeightGradient(Stream stream, ConvParams params, Shape kernel)
      : Described(stream), params_(std::move(params)), kernel_(std::move(kernel)) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "ConvolutionWeightGradient"; }
  auto fields() const { return std::tie(params_, kernel_); }
  const ConvParams& params() const { return params_; }
  const Shape& kernel() const { return kernel_; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

 private:
  array node(const array& input, const array& cotangent, int groups) const;

  ConvParams params_;
  Shape kernel_;
};

}  // namespace mlx::core
