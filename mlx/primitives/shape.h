// Nodes that give the elements, kept in row-major order, another shape. Each keeps what its caller
// asked for rather than the final shape, so that a graph can be run again with other shapes.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

/** Shares the buffer where strides allow, copies otherwise. */
class Reshaping : public Rearrangement {
 public:
  using Rearrangement::Rearrangement;
  array transposed(const array& cotangent, const array& primal) override;
};

class Reshape : public Described<Reshape, Reshaping> {
 public:
  Reshape(Stream s, Shape shape) : Described(s), shape_(std::move(shape)) {}
  const char* name() const override { return "Reshape"; }
  auto fields() const { return std::tie(shape_); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override;
  Shape output_shape(const array& in) const override { return resolve(in, shape_); }
  const Shape& requested() const { return shape_; }

  /** Puts the extent for -1 into a requested shape. Throws std::invalid_argument if none fits. */
  static Shape resolve(const array& in, Shape shape);

 private:
  Shape shape_;
};

/** Merges the axes from start to end, both included. */
class Flatten : public Described<Flatten, Reshaping> {
 public:
  Flatten(Stream s, int start, int end) : Described(s), start_(start), end_(end) {}
  const char* name() const override { return "Flatten"; }
  auto fields() const { return std::tie(start_, end_); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override;
  Shape output_shape(const array& in) const override { return merged(in.shape(), start_, end_); }
  std::pair<int, int> axes() const { return {start_, end_}; }

  static Shape merged(const Shape& shape, int start, int end);

 private:
  int start_;
  int end_;
};

/** Splits one axis into several; -1 stands for the extent that remains. */
class Unflatten : public Described<Unflatten, Reshaping> {
 public:
  Unflatten(Stream s, int axis, Shape shape)
      : Described(s), axis_(axis), shape_(std::move(shape)) {}
  const char* name() const override { return "Unflatten"; }
  bool is_view() const override { return true; }
  auto fields() const { return std::tie(axis_, shape_); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override;
  Shape output_shape(const array& in) const override { return cut(in.shape(), axis_, shape_); }
  int axis() const { return axis_; }
  const Shape& requested() const { return shape_; }

  static Shape cut(const Shape& in, int axis, Shape shape);

 private:
  int axis_;
  Shape shape_;
};

/** Drops axes of extent 1. Axes are sorted and not negative. */
class Squeeze : public Described<Squeeze, Reshaping> {
 public:
  Squeeze(Stream s, std::vector<int> axes) : Described(s), axes_(std::move(axes)) {}
  const char* name() const override { return "Squeeze"; }
  bool is_view() const override { return true; }
  auto fields() const { return std::tie(axes_); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override;
  Shape output_shape(const array& in) const override { return without(in.shape(), axes_); }
  const std::vector<int>& axes() const { return axes_; }

  static Shape without(const Shape& shape, const std::vector<int>& axes);

 private:
  std::vector<int> axes_;
};

/** Inserts axes of extent 1; positions are those in the output, sorted and not negative. */
class ExpandDims : public Described<ExpandDims, Reshaping> {
 public:
  ExpandDims(Stream s, std::vector<int> axes) : Described(s), axes_(std::move(axes)) {}
  const char* name() const override { return "ExpandDims"; }
  bool is_view() const override { return true; }
  auto fields() const { return std::tie(axes_); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override;
  Shape output_shape(const array& in) const override { return with(in.shape(), axes_); }
  const std::vector<int>& axes() const { return axes_; }

  static Shape with(const Shape& shape, const std::vector<int>& axes);

 private:
  std::vector<int> axes_;
};

}  // namespace mlx::core
