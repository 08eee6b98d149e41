// Reading and writing the rows of an array where a mask of its leading axes is true.
#pragma once

#include <tuple>

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

/** Inputs a and mask, bool, of the first axes of a. The rows under true elements, in row-major
 *  order: (count, further axes of a...), where count is the number of true elements. */
class MaskedSelect : public Described<MaskedSelect> {
 public:
  MaskedSelect(Stream stream, int count) : Described(stream), count_(count) {}

  auto fields() const { return std::tie(count_); }
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  /** Throws std::invalid_argument where the mask is mapped: the results would differ in shape. */
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "MaskedSelect"; }
  size_t differentiable_inputs(size_t) const override { return 1; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

  /** The node on these inputs. */
  array apply(const array& a, const array& mask) const;

 private:
  int count_;
};

/** Inputs a, mask as above, and values, 1-D of the dtype of a: the rows of a, where those under
 *  true elements are the first ones of values. Too few values raise std::out_of_range. */
class MaskedScatter : public Described<MaskedScatter, FallbackPrimitive> {
 public:
  using Described::Described;

  auto fields() const { return std::tuple<>(); }
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "MaskedScatter"; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }
};

}  // namespace mlx::core
