// Matrix products whose operands are picked by index or cut along the common axis when they run.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"

namespace mlx::core {

/**
 * Inputs: a (..., m, k), b (..., k, n) and int64 indices into their flattened batches, both of the
 * output's batch shape. Output: (indices..., m, n).
 */
class GatherMM : public Described<GatherMM> {
 public:
  using Described::Described;

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "GatherMM"; }
  bool takes_positions() const override { return true; }
  auto fields() const { return std::tie(); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
};

/**
 * Inputs: a (m, k), b (k, n) and int64 segments (..., 2), each a range [begin, end) of k. Output:
 * (..., m, n), the product over each range. A range outside [0, k] raises std::out_of_range.
 */
class SegmentedMM : public Described<SegmentedMM> {
 public:
  using Described::Described;

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "SegmentedMM"; }
  auto fields() const { return std::tie(); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
};

/** 0, 1, … in the shape of `indices`: each product's own place. */
array positions(const array& indices, Stream s);

/** Zeros like `operand` with a matrix of `parts` added wherever `indices` picked one: the gradient
 *  of an operand from those of the matrices that products read. */
array add_to_picked(const array& operand, const array& indices, const array& parts, Stream s);

/**
 * Indices for a mapped operand, the mapped axis first: the mapped axis of the operand becomes the
 * slowest one of its batch, so example e starts at e times the matrices of one. `axis` and
 * `index_axis` are -1 where there is no mapped axis.
 */
array mapped_indices(const array& operand, int axis, const array& indices, int index_axis,
                     int count, Stream s);

/** The extent of the mapped axis of `inputs`. */
int mapped_count(const std::vector<array>& inputs, const std::vector<int>& axes);

}  // namespace mlx::core
