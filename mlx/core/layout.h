// Layout decisions that every backend shares: contiguity, collapsing dimensions, walking strides.
#pragma once

#include <optional>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {

/** Strides of a row-contiguous array, in elements. */
Strides row_contiguous_strides(const Shape& shape);

/** Contiguity of a layout that starts at its first element and spans `data_size` elements. */
array::Flags layout_flags(const Shape& shape, const Strides& strides, size_t data_size);

/** Elements from the first to the last one of the layout, gaps included; 0 for an empty one. */
size_t layout_span(const Shape& shape, const Strides& strides);

/** Bytes of a buffer from `begin` up to `end`, counted from its start. */
struct ByteRange {
  int64_t begin, end;

  int64_t size() const { return end - begin; }
  bool contains(const ByteRange& other) const { return begin <= other.begin && other.end <= end; }
};

/** What the elements of `a` span of its buffer; an empty range for an empty array. */
ByteRange byte_range(const array& a);

struct CollapsedLayout {
  SmallVector<int64_t> shape;
  std::vector<Strides> strides;
};

/**
 * Merges neighbouring axes that all `strides` walk as one, and drops axes of extent 1. The result
 * has at least one axis (extent 1 for a scalar). Extents are 64-bit since merged ones may be large.
 */
CollapsedLayout collapse_dims(const Shape& shape, std::vector<Strides> strides);

/** Offset in elements of the row-major position `index` of a layout. */
template <typename ShapeLike>
int64_t element_offset(int64_t index, const ShapeLike& shape, const Strides& strides) {
  int64_t offset = 0;
  for (int i = static_cast<int>(shape.size()) - 1; i >= 0 && index; i--) {
    offset += (index % shape[i]) * strides[i];
    index /= shape[i];
  }
  return offset;
}

/** Strides for reading `in` as if it had the broadcast shape `shape`: 0 along broadcast axes. */
Strides broadcast_strides(const array& in, const Shape& shape);

/** Strides with which the elements of `in`, in row-major order, have another shape; nothing when
 *  that takes a copy. Both shapes have the same number of elements. */
std::optional<Strides> reshape_strides(const array& in, const Shape& shape);

/** Strides of the same memory counted in elements of another size, if the elements fit into it. */
std::optional<Strides> view_strides(const array& in, size_t itemsize);

/** Makes `out` a view of the buffer of `in`: `offset` elements of the dtype of `out` after the
 *  first one of `in`, with these strides. */
void share_view(const array& in, array& out, const Strides& strides, int64_t offset = 0);

/** Whether the values are there, nothing can turn out to have failed and no trace looks on: a view
 * of such an array needs no node. */
bool is_at_hand(const array& a);

/** A view of an array at hand, as share_view makes it. */
array view_at_hand(const array& a, Shape shape, const Strides& strides, int64_t offset = 0);

/** Whether the buffer of `in` may become that of `out`: nobody else holds it, elements of one size
 *  fill it, and they are in row-major order unless the shapes are equal. */
bool can_donate(const array& in, const array& out);

/** Makes that so. What is handed over is memory alone: the layout is made from the shape of `out`,
 *  row-major, or the order of `in` where the shapes are equal and it has another. */
void donate(const array& in, array& out);

}  // namespace mlx::core
