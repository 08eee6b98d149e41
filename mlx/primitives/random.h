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
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;

  const char* name() const override { return "RandomBits"; }
  auto fields() const { return std::tie(shape_, width_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

  /** The dtype of bits `width` bytes wide: uint8, uint16 or uint32. */
  static Dtype dtype_of(int width);

 private:
  Shape shape_;
  int width_;
};

}  // namespace mlx::core
