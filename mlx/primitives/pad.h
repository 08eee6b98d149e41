// The node that puts an array into a larger one filled with a value.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

/** Inputs: the array, and a scalar of its dtype. Padding has an entry for each axis. */
class Pad : public Described<Pad> {
 public:
  Pad(Stream s, Shape low, Shape high)
      : Described(s), low_(std::move(low)), high_(std::move(high)) {}
  const char* name() const override { return "Pad"; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(low_, high_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override {
    return {padded(inputs[0].shape(), low_, high_)};
  }

  const Shape& low() const { return low_; }
  const Shape& high() const { return high_; }

  static Shape padded(const Shape& shape, const Shape& low, const Shape& high);

 private:
  array inside(const array& a) const;
  array padded_with(const array& a, const array& value) const;

  Shape low_;
  Shape high_;
};

}  // namespace mlx::core
