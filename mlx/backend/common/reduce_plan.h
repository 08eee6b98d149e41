// How a reduction walks memory: which axes are kept and reduced, which is innermost, and how the
// work is cut into parts that do not depend on the number of threads.
#pragma once

#include <vector>

#include "mlx/array.h"

namespace mlx::core {

struct ReduceAxis {
  int64_t size, in_stride, out_stride;
};

/** Axes from the slowest to the fastest in the input; always at least one each. */
struct ReduceAxes {
  std::vector<ReduceAxis> kept, reduced;
  /** Whether the fastest axis of all is a kept one, so that rows add up column by column. */
  bool by_columns;
};

/** Splits the axes of a layout; the output is row contiguous over the kept ones. */
ReduceAxes split_axes(const Shape& shape, const Strides& strides, const std::vector<int>& axes);

/** Product of the extents of all axes but the last. */
int64_t outer_size(const std::vector<ReduceAxis>& axes);

struct ReduceOffset {
  int64_t in, out;
};

/** Offsets of the position `index` in row-major order over all axes but the last. */
ReduceOffset outer_offset(const std::vector<ReduceAxis>& axes, int64_t index);

/**
 * The reduced elements of an output (or of a tile of columns) as a list of units: pieces of the
 * innermost reduced axis for every position of the outer ones. Units are dealt to `chunks`, whose
 * totals merge in order.
 */
struct ReduceUnits {
  int64_t piece, pieces, count, per_chunk, chunks;

  /** `extent`: of the innermost reduced axis; `width`: columns that go together; `outer`: positions
   *  of the outer reduced axes; `tasks`: outputs or tiles that run independently anyway. */
  ReduceUnits(int64_t extent, int64_t width, int64_t outer, int64_t tasks);
};

}  // namespace mlx::core
