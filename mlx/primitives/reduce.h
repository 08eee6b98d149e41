// Reductions as graph nodes: Reduce folds any set of axes with one of a small table of operations,
// ArgReduce finds the position of an extremum along one axis.
#pragma once

#include <vector>

#include "mlx/primitives/described.h"

namespace mlx::core {

enum class ReduceOp : uint8_t { Sum, Prod, Max, Min, All, Any, Mean, Var, LogSumExp };

/** The dtype of the result of reducing values of dtype `in`. */
Dtype reduce_result_type(ReduceOp op, Dtype in);

/** `shape` without `axes` (sorted), or with extent 1 there. */
Shape reduced_shape(const Shape& shape, const std::vector<int>& axes, bool keepdims);

/**
 * Reduces the sorted `axes` of one input. Sums of floats add blocks of 4096 values in many lanes
 * of float and the blocks in double: |error| <= 40 * 2^-24 * sum |x|, whatever the length.
 */
class Reduce : public Described<Reduce> {
 public:
  Reduce(Stream stream, ReduceOp op, std::vector<int> axes, bool keepdims, int ddof = 0)
      : Described(stream), op_(op), axes_(std::move(axes)), keepdims_(keepdims), ddof_(ddof) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override;
  auto fields() const { return std::tie(op_, axes_, keepdims_, ddof_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

  ReduceOp op() const { return op_; }
  const std::vector<int>& axes() const { return axes_; }
  bool keepdims() const { return keepdims_; }
  int ddof() const { return ddof_; }

 private:
  array with_axes(const array& reduced) const;
  /** d out / d x, of the shape of x. */
  array derivative(const array& x, const array& out) const;

  ReduceOp op_;
  std::vector<int> axes_;
  bool keepdims_;
  int ddof_;
};

/** Position (uint32) of the first maximum or minimum along one axis; NaN counts as the extremum. */
class ArgReduce : public Described<ArgReduce> {
 public:
  enum Kind : uint8_t { ArgMin, ArgMax };

  ArgReduce(Stream stream, Kind kind, int axis, bool keepdims)
      : Described(stream), kind_(kind), axis_(axis), keepdims_(keepdims) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return kind_ == ArgMax ? "ArgMax" : "ArgMin"; }
  auto fields() const { return std::tie(kind_, axis_, keepdims_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

  Kind kind() const { return kind_; }
  int axis() const { return axis_; }
  bool keepdims() const { return keepdims_; }

 private:
  Kind kind_;
  int axis_;
  bool keepdims_;
};

}  // namespace mlx::core
