// The node that repeats an array along new and unit axes without copying it.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

/** To a shape in which -1 stands for the extent that the input has there. */
class Broadcast : public Described<Broadcast, Rearrangement> {
 public:
  Broadcast(Stream s, Shape shape) : Described(s), shape_(std::move(shape)) {}
  const char* name() const override { return "Broadcast"; }
  bool is_view() const override { return true; }
  auto fields() const { return std::tie(shape_); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override;
  array transposed(const array& cotangent, const array& primal) override;
  Shape output_shape(const array& in) const override;

 private:
  Shape shape_;
};

/** `a` summed over the axes along which `shape` had been broadcast to give its shape. */
array sum_to_shape(const array& a, const Shape& shape, Stream s);

}  // namespace mlx::core
