// Maximum and mean over sliding windows as one node, forward and backward.
#pragma once

#include <tuple>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

/** Windows over the spatial axes of (n, spatial..., c); vectors have one entry for each. */
struct PoolSpec {
  enum Kind : uint8_t { Max, Mean };
  Kind kind;
  std::vector<int> kernel, stride, padding;

  auto fields() const { return std::tie(kind, kernel, stride, padding); }

  /** (n, windows..., c); no windows where the kernel is larger than the padded image. */
  Shape windows(const Shape& image) const;
};

/**
 * Input: an image. Output: the maximum or mean of each window. The padding is the lowest value of
 * the dtype for maxima, and zeros that count as entries for means.
 */
class Pool : public Described<Pool, FallbackPrimitive> {
 public:
  Pool(Stream stream, PoolSpec spec) : Described(stream), spec_(std::move(spec)) {}

  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "Pool"; }
  auto fields() const { return std::tie(spec_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override {
    return {spec_.windows(inputs[0].shape())};
  }
  const PoolSpec& spec() const { return spec_; }

 private:
  PoolSpec spec_;
};

/**
 * Inputs: the image and the cotangent of Pool's output, then for maxima that output, which follows
 * from the image. Output: the gradient of the image. Equal maxima of a window share its cotangent.
 */
class PoolBackward : public Described<PoolBackward, FallbackPrimitive> {
 public:
  PoolBackward(Stream stream, PoolSpec spec) : Described(stream), spec_(std::move(spec)) {}

  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "PoolBackward"; }
  size_t differentiable_inputs(size_t) const override { return 2; }
  auto fields() const { return std::tie(spec_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }
  const PoolSpec& spec() const { return spec_; }

 private:
  PoolSpec spec_;
};

}  // namespace mlx::core
