// The key between the brackets of `x[key]`, resolved against a shape by NumPy's rules.
#pragma once

#include <vector>

#include "python/src/bindings.h"

namespace mlx::python {

/** An index array and the axis it belongs to. */
struct AxisIndex {
  int axis;
  array index;
};

/**
 * What a key means, in steps: new axes go in, a block is cut out by ints and slices, index arrays
 * choose from the block, and the axes of ints vanish.
 */
struct IndexKey {
  /** Places of axes of extent 1 to be put in, as places in the result of doing so. */
  std::vector<int> new_axes;
  /** The block, for each axis after that: as `slice` takes it. */
  Shape start;
  Shape stop;
  Shape step;
  /** Whether the block is all of the array. */
  bool whole = true;
  /** Axes that ints chose one element from; empty if there are index arrays. */
  std::vector<int> dropped;
  /** Index arrays; ints count among them if there is any array. */
  std::vector<AxisIndex> arrays;
};

/**
 * Resolves a Python key. Boolean masks are evaluated, for the number
 * of their true elements, and become index arrays. Throws IndexError for
 * ints out of range, ValueError for too many indices, mismatched masks and other types.
 */
IndexKey resolve_key(const array& a, nb::handle key);

/** The number of true elements of a mask, which is evaluated without the GIL. */
int64_t count_true(const array& mask);

/** The mask that a key is, if it is one boolean array and nothing else. */
std::optional<array> as_mask(nb::handle key);

}  // namespace mlx::python
