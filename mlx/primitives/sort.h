// Order along the last axis: sorting, partitioning, their index forms, binary search and distinct
// values. All use one total order: NaN (of any sign) after everything else, complex numbers by real
// part first, -0 equal to 0 wherever positions are asked for.
#pragma once

#include "mlx/primitives/described.h"

namespace mlx::core {

/** What sorting and partitioning share: one input, last axis, result of the same shape. */
class OrderPrimitive : public BuiltinPrimitive {
 public:
  OrderPrimitive(Stream stream, bool positions) : BuiltinPrimitive(stream), positions_(positions) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }
  bool positions() const { return positions_; }

 protected:
  /** The node of the same kind on `x`, for values or for positions. */
  virtual array apply(const array& x, bool positions) const = 0;

  /** Whether the result is positions (uint32) instead of values. */
  bool positions_;
};

/** Stable ascending sort. */
class Sort : public Described<Sort, OrderPrimitive> {
 public:
  using Described::Described;
  const char* name() const override { return positions_ ? "ArgSort" : "Sort"; }
  auto fields() const { return std::tie(positions_); }

 protected:
  array apply(const array& x, bool positions) const override;
};

/** Puts the kth smallest (0 <= kth < extent) in its sorted place between smaller and larger. */
class Partition : public Described<Partition, OrderPrimitive> {
 public:
  Partition(Stream stream, bool positions, int kth) : Described(stream, positions), kth_(kth) {}
  const char* name() const override { return positions_ ? "ArgPartition" : "Partition"; }
  auto fields() const { return std::tie(positions_, kth_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  int kth() const { return kth_; }

 protected:
  array apply(const array& x, bool positions) const override;

 private:
  int kth_;
};

/** For each value the number of elements of a sorted 1-D sequence before it (uint32). */
class SearchSorted : public Described<SearchSorted> {
 public:
  SearchSorted(Stream stream, bool right) : Described(stream), right_(right) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "SearchSorted"; }
  auto fields() const { return std::tie(right_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[1].shape()}; }
  bool right() const { return right_; }

 private:
  bool right_;
};

/**
 * Of a 1-D array: positions of the first occurrence of each of the `size` smallest distinct values
 * (uint32), the number of its distinct value for each element (uint32), and counts (int32). Slots
 * without a value repeat the first position and have count 0.
 */
class Unique : public Described<Unique> {
 public:
  Unique(Stream stream, int size) : Described(stream), size_(size) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "Unique"; }
  auto fields() const { return std::tie(size_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  int size() const { return size_; }

 private:
  int size_;
};

}  // namespace mlx::core
