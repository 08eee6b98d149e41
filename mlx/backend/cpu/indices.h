// Index arrays as offsets into memory. Every index is checked here, before anything is read or
// written by it: one outside the array raises std::out_of_range.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx/array.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

/** What an index along one axis may be and what it weighs. */
struct IndexedAxis {
  int axis;
  int64_t extent;
  int64_t slice = 1;   // elements read from the index on
  int64_t stride = 0;  // added to the offset per index
};

/** offsets[i] += stride * index[i * step], for `n` indices of a dtype; negative ones count from the
 *  end. Throws std::out_of_range naming the op, the index and the axis. */
void add_offsets(const char* op, const IndexedAxis& axis, Dtype dtype, const void* indices,
                 int64_t step, int64_t n, int64_t* offsets);

/** The positions of a gather or scatter: index arrays that broadcast to one shape, in row-major
 *  order, as offsets into an array. */
class IndexOffsets {
 public:
  IndexOffsets(const char* op, const std::vector<array>& indices, const Shape& index_shape,
               const array& a, const std::vector<int>& axes, const Shape& slice_sizes);

  int64_t count() const { return count_; }
  /** Offsets in elements of the positions from begin up to end. */
  void read(int64_t begin, int64_t end, int64_t* offsets) const;

 private:
  struct Source {
    IndexedAxis axis;
    Dtype dtype;
    const char* data;
    CollapsedLayout layout;
  };

  const char* op_;
  int64_t count_;
  std::vector<Source> sources_;
};

/** `a` with a shape to which it broadcasts, in its own memory. */
array broadcast_view(const array& a, const Shape& shape);

/** An array seen as (before, along, after) an axis, each walked by one stride. */
struct AxisLayout {
  int64_t before, along, after;
  int64_t before_stride, along_stride, after_stride;
};

/** Whether the layout of `a` has this form; if so fills `layout`. */
bool axis_layout(const array& a, int axis, AxisLayout& layout);

/** The array itself if it has this form, else a row-contiguous copy; fills `layout`. */
array with_axis_layout(const array& a, int axis, AxisLayout& layout);

}  // namespace mlx::core::cpu
