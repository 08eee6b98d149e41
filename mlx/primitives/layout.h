// Nodes about the memory of an array rather than its elements: copies, reinterpretation, free
// strides, order of evaluation.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

/** A view with given strides into the row-contiguous elements of the input. */
class AsStrided : public Described<AsStrided, Rearrangement> {
 public:
  AsStrided(Stream s, Shape shape, Strides strides, size_t offset)
      : Described(s), shape_(std::move(shape)), strides_(std::move(strides)), offset_(offset) {}
  const char* name() const override { return "AsStrided"; }
  auto fields() const { return std::tie(shape_, strides_, offset_); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override;
  array transposed(const array& cotangent, const array& primal) override;
  Shape output_shape(const array& in) const override;
  const Strides& strides() const { return strides_; }
  size_t offset() const { return offset_; }

  /** Throws std::invalid_argument unless every position of such a view lies in the array. */
  static void check_bounds(const array& a, const Shape& shape, const Strides& strides,
                           size_t offset);

 private:
  Shape shape_;
  Strides strides_;
  size_t offset_;
};

/** Elements in memory of their own. */
class Copy : public Described<Copy, Rearrangement> {
 public:
  using Described::Described;
  const char* name() const override { return "Copy"; }
  auto fields() const { return std::tie(); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override { return apply(a); }
  array transposed(const array& cotangent, const array&) override { return cotangent; }
  Shape output_shape(const array& in) const override { return in.shape(); }
};

/** Row-contiguous elements, or with allow_col_major in either order; no copy when they are. */
class Contiguous : public Described<Contiguous, Rearrangement> {
 public:
  Contiguous(Stream s, bool allow_col_major) : Described(s), allow_col_major_(allow_col_major) {}
  const char* name() const override { return "Contiguous"; }
  auto fields() const { return std::tie(allow_col_major_); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override { return apply(a); }
  array transposed(const array& cotangent, const array&) override { return cotangent; }
  Shape output_shape(const array& in) const override { return in.shape(); }
  /** Whether the result may be a view of `in`: it has the order, and is no small part of a large
   * buffer, which the view would keep. */
  bool shares(const array& in) const;

 private:
  bool allow_col_major_;
};

/** The same bytes as another dtype; the last axis shrinks or grows with the size of an element. */
class View : public Described<View> {
 public:
  View(Stream s, Dtype dtype) : Described(s), dtype_(dtype) {}
  const char* name() const override { return "View"; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(dtype_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  Dtype dtype() const { return dtype_; }

  static Shape shape_as(const array& a, Dtype dtype);

 private:
  Dtype dtype_;
};

/** The input, through which no derivative passes. */
class StopGradient : public Described<StopGradient> {
 public:
  using Described::Described;
  const char* name() const override { return "StopGradient"; }
  bool is_view() const override { return true; }
  size_t differentiable_inputs(size_t) const override { return 0; }
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }
};

/** The first inputs, one for each output, not before the remaining ones have been computed. */
class Depends : public Described<Depends> {
 public:
  Depends(Stream s, size_t outputs) : Described(s), outputs_(outputs) {}
  const char* name() const override { return "Depends"; }
  auto fields() const { return std::tie(outputs_); }
  bool is_view() const override { return true; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

 private:
  size_t outputs_;
};

/** The product of some extents, as a scalar: known only from the shape, so it stays right when a
 *  graph is run again with other shapes. */
class NumberOfElements : public Described<NumberOfElements> {
 public:
  NumberOfElements(Stream s, std::vector<int> axes, bool inverted, Dtype dtype)
      : Described(s), axes_(std::move(axes)), inverted_(inverted), dtype_(dtype) {}
  const char* name() const override { return "NumberOfElements"; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(axes_, inverted_, dtype_); }
  const std::vector<int>& axes() const { return axes_; }
  bool inverted() const { return inverted_; }
  Dtype dtype() const { return dtype_; }
  std::vector<Shape> output_shapes(const std::vector<array>&) override { return {Shape{}}; }

 private:
  std::vector<int> axes_;
  bool inverted_;
  Dtype dtype_;
};

}  // namespace mlx::core
