// Random bits as a node of the graph; all distributions are element-wise ops on top of it.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"

namespace mlx::core {

/**
 * Bits made from keys. Input: uint32 of shape (..., 2). Output: for each key an array of the given
 * shape of unsigned integers `width` bytes wide, so (..., shape).
 */
class RandomBits : public Described<RandomBits> {
 public:
  explicit RandomBits(Stream stream, Shape shape, int width)
      : Described(stream), shape_(std::move(shape)), width_(width) {}

  /** Bits are constants to derivatives. */
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;

  const char* name() const override { return "RandomBits"; }
  auto fields() const { return std::tie(shape_, width_); }
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

  /** The dtype of bits `width` bytes wide: uint8, uint16 or uint32. */
  static Dtype dtype_of(int width);

 private:
  Shape shape_;
  int width_;
};

}  // namespace mlx::core
