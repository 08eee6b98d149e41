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
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  auto fields() const { return std::tie(axis_); }
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {joined(inputs, axis_)};
  }
  int axis() const { return axis_; }

  /** Shape of the result. Throws std::invalid_argument when the arrays do not fit. */
  static Shape joined(const std::vector<array>& inputs, int axis);

 private:
  int axis_;
};

}  // namespace mlx::core
