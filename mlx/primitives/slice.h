// Nodes that read or write a regular part of an array: static and dynamic slices, and splits.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

/** Start, stop and step for each axis as Python has them: negative ones count from the end, ones
 *  past an end mean that end. Kept as given, so that "to the end" holds for other shapes too. */
struct SliceSpec {
  Shape start;
  Shape stop;
  Shape step;

  auto fields() const { return std::tie(start, stop, step); }
  /** First element of each axis of `in`, in [0, extent], and the shape of the slice. */
  std::pair<Shape, Shape> resolve(const Shape& in) const;
  /** Where the slice of an evaluated array starts and how it walks, in elements of the array. */
  std::pair<int64_t, Strides> locate(const array& a) const;
  /** The same for arrays with a batch axis in front. */
  SliceSpec with_batch() const;
};

/** How an update meets what is there. */
enum class UpdateMode { Replace, Sum, Prod, Max, Min };

const char* update_mode_name(UpdateMode mode);

class Slice : public Described<Slice, Rearrangement> {
 public:
  Slice(Stream s, SliceSpec spec) : Described(s), spec_(std::move(spec)) {}
  const char* name() const override { return "Slice"; }
  bool is_view() const override { return true; }
  auto fields() const { return std::tie(spec_); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override;
  array transposed(const array& cotangent, const array& primal) override;
  Shape output_shape(const array& in) const override { return spec_.resolve(in.shape()).second; }
  const SliceSpec& spec() const { return spec_; }

 private:
  SliceSpec spec_;
};

/** Inputs: source, and an update of the slice's shape and the source's dtype. */
class SliceUpdate : public Described<SliceUpdate> {
 public:
  SliceUpdate(Stream s, UpdateMode mode, SliceSpec spec)
      : Described(s), mode_(mode), spec_(std::move(spec)) {}
  const char* name() const override { return "SliceUpdate"; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(mode_, spec_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  UpdateMode mode() const { return mode_; }
  const SliceSpec& spec() const { return spec_; }

  /** The node. `update` broadcasts to the slice and is cast. Errors name `op`. */
  static array make(const char* op, UpdateMode mode, const array& source, const array& update,
                    SliceSpec spec, Stream s);

 private:
  array part(const array& a) const;
  array updated(UpdateMode mode, const array& source, const array& update) const;

  UpdateMode mode_;
  SliceSpec spec_;
};

/** Inputs: source, and the start along `axes` (integers; other axes start at 0). */
class DynamicSlice : public Described<DynamicSlice> {
 public:
  DynamicSlice(Stream s, std::vector<int> axes, Shape size)
      : Described(s), axes_(std::move(axes)), size_(std::move(size)) {}
  const char* name() const override { return "DynamicSlice"; }
  bool takes_positions() const override { return true; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(axes_, size_); }
  const Shape& size() const { return size_; }
  std::vector<Shape> output_shapes(const std::vector<array>&) override { return {size_}; }
  const std::vector<int>& axes() const { return axes_; }

 private:
  std::vector<int> axes_;
  Shape size_;
};

/** Inputs: source, update, and the start along `axes`. */
class DynamicSliceUpdate : public Described<DynamicSliceUpdate> {
 public:
  DynamicSliceUpdate(Stream s, std::vector<int> axes) : Described(s), axes_(std::move(axes)) {}
  const char* name() const override { return "DynamicSliceUpdate"; }
  bool takes_positions() const override { return true; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(axes_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }
  const std::vector<int>& axes() const { return axes_; }

 private:
  std::vector<int> axes_;
};

/** Cuts one axis before each of `indices` (which count from 0, ascending), or into equal parts. */
class Split : public Described<Split> {
 public:
  /** Boundaries inside [0, extent], or with `parts` > 0 that many equal ones. */
  Split(Stream s, int axis, Shape indices, int parts)
      : Described(s), axis_(axis), indices_(std::move(indices)), parts_(parts) {}
  const char* name() const override { return "Split"; }
  bool is_view() const override { return true; }
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(axis_, indices_, parts_); }
  int axis() const { return axis_; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

  /** [begin, end) of each part along the axis of a shape. */
  std::vector<std::pair<int, int>> ranges(const Shape& in) const;
  std::vector<array> apply(const array& a, int axis) const;

 private:
  int axis_;
  Shape indices_;
  int parts_;
};

}  // namespace mlx::core
