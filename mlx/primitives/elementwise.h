// The graph node of every element-wise op: one class with an op code. What an op computes is in the
// kernels, what its derivative is in one rule; the rest is the same for all.
#pragma once

#include <vector>

#include "mlx/optable/elementwise.h"
#include "mlx/primitives/described.h"

namespace mlx::core {

class Elementwise : public Described<Elementwise> {
 public:
  /** `result` is the dtype of the output. Inputs have the dtype that the op takes; their shapes
   *  broadcast to the output's. */
  Elementwise(Stream stream, ElementwiseOp op, Dtype result)
      : Described(stream), op_(op), result_(result) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return elementwise_info(op_).name; }
  auto fields() const { return std::tie(op_, result_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

  ElementwiseOp op() const { return op_; }
  Dtype result() const { return result_; }

 private:
  ElementwiseOp op_;
  Dtype result_;
};

namespace detail {

/** Builds the node: inputs already have the dtypes that the op takes. Throws
 *  std::invalid_argument when the shapes do not broadcast. */
array elementwise(ElementwiseOp op, std::vector<array> inputs, Stream s);

/** The node of a conversion; also for equal dtypes. */
array cast(const array& a, Dtype to, Stream s);

/** Undoes broadcasting: sums over the axes along which `shape` was stretched to that of `a`. */
array sum_to_shape(const array& a, const Shape& shape, Stream s);

}  // namespace detail

}  // namespace mlx::core
