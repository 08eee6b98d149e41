// Nodes that write updates into an array at positions given by index arrays. Updates of the same
// element are combined in row-major order of the updates, whatever the number of threads.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/slice.h"

namespace mlx::core {

/**
 * Inputs: the array, an index array for each of `axes` (which broadcast together), and updates of
 * the indices' shape followed by the shape of a slice of the array.
 */
class Scatter : public Described<Scatter> {
 public:
  Scatter(Stream s, UpdateMode mode, std::vector<int> axes)
      : Described(s), mode_(mode), axes_(std::move(axes)) {}
  const char* name() const override { return "Scatter"; }
  bool takes_positions() const override { return true; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(mode_, axes_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  UpdateMode mode() const { return mode_; }
  const std::vector<int>& axes() const { return axes_; }

 private:
  UpdateMode mode_;
  std::vector<int> axes_;
};

/** Inputs: the array, updates of its rank and of its extents but for the axis, and indices that
 *  broadcast to the updates:
 *  out[.., indices[.., i, ..], ..] = mode(.., updates[.., i, ..]). */
class ScatterAxis : public Described<ScatterAxis> {
 public:
  ScatterAxis(Stream s, UpdateMode mode, int axis) : Described(s), mode_(mode), axis_(axis) {}
  const char* name() const override { return "ScatterAxis"; }
  bool takes_positions() const override { return true; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(mode_, axis_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  UpdateMode mode() const { return mode_; }
  int axis() const { return axis_; }

 private:
  UpdateMode mode_;
  int axis_;
};

}  // namespace mlx::core
