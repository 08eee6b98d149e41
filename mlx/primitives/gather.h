// Nodes that read an array at positions given by index arrays. Indices are integers of any dtype,
// negative ones count from the end, and one outside the array is an error of the evaluation.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

/**
 * Inputs: the array and an index array for each of `axes`, which broadcast together. The output has
 * their shape followed by the shape of a slice, which begins at the indices (and at 0 elsewhere). A
 * slice size of -1 stands for the whole axis.
 */
class Gather : public Described<Gather> {
 public:
  Gather(Stream s, std::vector<int> axes, Shape slice_sizes)
      : Described(s), axes_(std::move(axes)), slice_sizes_(std::move(slice_sizes)) {}
  const char* name() const override { return "Gather"; }
  bool takes_positions() const override { return true; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(axes_, slice_sizes_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const std::vector<int>& axes() const { return axes_; }
  /** The size of a slice of `a`. Throws std::invalid_argument when it does not fit. */
  Shape slice_of(const array& a) const;

 private:
  std::vector<int> axes_;
  Shape slice_sizes_;
};

/** Inputs: the array, and indices of its rank, whose other axes broadcast to its extents: along the
 *  axis, out[.., i, ..] = a[.., indices[.., i, ..], ..]. */
class GatherAxis : public Described<GatherAxis> {
 public:
  GatherAxis(Stream s, int axis) : Described(s), axis_(axis) {}
  const char* name() const override { return "GatherAxis"; }
  bool takes_positions() const override { return true; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(axis_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  int axis() const { return axis_; }

 private:
  int axis_;
};

/** A batch of index arrays, each mapped or not, as arrays that broadcast with the batch in front.
 */
std::vector<array> batch_indices(std::vector<array> indices, const std::vector<int>& axes,
                                 Stream s);

}  // namespace mlx::core
