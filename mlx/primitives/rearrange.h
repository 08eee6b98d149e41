// What nodes that only move elements of one input have in common: they are linear, so the tangent
// goes through the same op, and a batch is one more axis.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives.h"

namespace mlx::core {

class Rearrangement : public BuiltinPrimitive {
 public:
  using BuiltinPrimitive::BuiltinPrimitive;

  /** The same op on another array. */
  virtual array apply(const array& a) = 0;
  /** The same op on each slice along axis 0, which stays axis 0. */
  virtual array apply_to_batch(const array& a) = 0;
  /** The transposed linear map: what a cotangent of the output is for `primal`. */
  virtual array transposed(const array& cotangent, const array& primal) = 0;
  virtual Shape output_shape(const array& in) const = 0;

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
};

/** The batch axis of `a` moved to the front; with axis -1 (no batch) a new one of extent 1. */
array batch_first(const array& a, int axis, Stream s);

/** As batch_first, and broadcast to `batch` slices where there was no batch axis. */
array broadcast_batch_first(const array& a, int axis, int batch, Stream s);

/** All inputs as broadcast_batch_first makes them. */
std::vector<array> all_batch_first(const std::vector<array>& inputs, const std::vector<int>& axes,
                                   int batch, Stream s);

/** Extent of the batch axis of the first input that has one. */
int batch_extent(const std::vector<array>& inputs, const std::vector<int>& axes);

}  // namespace mlx::core
