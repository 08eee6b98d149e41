// The node that joins arrays along an axis.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

class Concatenate : public Described<Concatenate> {
 public:
  Concatenate(Stream s, int axis) : Described(s), axis_(axis) {}
  const char* name() const override { return "Concatenate"; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(axis_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override {
    return {joined(inputs, axis_)};
  }
  int axis() const { return axis_; }

  /** Shape of the result. Throws std::invalid_argument when the arrays do not fit. */
  static Shape joined(const std::vector<array>& inputs, int axis);

 private:
  int axis_;
};

}  // namespace mlx::core
