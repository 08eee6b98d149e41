// Checked conversion of index arrays of any dtype and layout to offsets.
#include "mlx/backend/cpu/indices.h"

#include <algorithm>
#include <stdexcept>

#include "mlx/backend/cpu/copy.h"
#include "mlx/core/errors.h"

namespace mlx::core::cpu {

namespace {

// The index counted from the start; past `limit` as unsigned when it is outside.
template <typename T>
uint64_t from_start(T index, int64_t extent) {
  if constexpr (std::is_signed_v<T>) {
    int64_t value = index;
    return static_cast<uint64_t>(value < 0 ? value + extent : value);
  } else {
    return index;
  }
}

template <typename T>
void add_typed(const char* op, const IndexedAxis& axis, const T* indices, int64_t step, int64_t n,
               int64_t* offsets) {
  // Zero for an empty slice of an empty axis, else at least zero since slices fit their axis.
  uint64_t limit = static_cast<uint64_t>(std::max<int64_t>(axis.extent - axis.slice, 0));
  bool outside = false;
  for (int64_t i = 0; i < n; i++) {
    uint64_t index = from_start(indices[i * step], axis.extent);
    outside |= index > limit;
    offsets[i] += static_cast<int64_t>(index * static_cast<uint64_t>(axis.stride));
  }
  if (!outside) {
    return;
  }
  int64_t bad = 0;
  while (from_start(indices[bad * step], axis.extent) <= limit) {
    bad++;
  }
  throw std::out_of_range(error_message(op, "Index ", +indices[bad * step],
                                        " is out of range for axis ", axis.axis, " with size ",
                                        axis.extent, " and slices of ", axis.slice, "."));
}

// The axes [first, last) of `a` as one extent and stride.
bool collapse_range(const array& a, int first, int last, int64_t& extent, int64_t& stride) {
  Shape shape(a.shape().begin() + first, a.shape().begin() + last);
  Strides strides(a.strides().begin() + first, a.strides().begin() + last);
  auto layout = collapse_dims(shape, {strides});
  extent = layout.shape[0];
  stride = layout.strides[0][0];
  return layout.shape.size() == 1;
}

}  // namespace

void add_offsets(const char* op, const IndexedAxis& axis, Dtype dtype, const void* indices,
                 int64_t step, int64_t n, int64_t* offsets) {
  dispatch_dtype(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      add_typed(op, axis, static_cast<const T*>(indices), step, n, offsets);
    } else {
      internal_check(false, "index array of a dtype that is no integer");
    }
  });
}

IndexOffsets::IndexOffsets(const char* op, const std::vector<array>& indices,
                           const Shape& index_shape, const array& a, const std::vector<int>& axes,
                           const Shape& slice_sizes)
    : op_(op), count_(static_cast<int64_t>(num_elements(index_shape))) {
  for (size_t i = 0; i < indices.size(); i++) {
    int axis = axes[i];
    sources_.push_back({{axis, a.shape(axis), slice_sizes[axis], a.strides(axis)},
                        indices[i].dtype(),
                        indices[i].data<char>(),
                        collapse_dims(index_shape, {broadcast_strides(indices[i], index_shape)})});
  }
}

void IndexOffsets::read(int64_t begin, int64_t end, int64_t* offsets) const {
  std::fill(offsets, offsets + (end - begin), 0);
  for (auto& source : sources_) {
    auto& [shape, strides] = source.layout;
    int64_t row = shape.back(), step = strides[0].back();
    for (int64_t at = begin; at < end;) {
      int64_t n = std::min(end - at, row - at % row);
      const char* data = source.data + element_offset(at, shape, strides[0]) * source.dtype.size();
      add_offsets(op_, source.axis, source.dtype, data, step, n, offsets + (at - begin));
      at += n;
    }
  }
}

array broadcast_view(const array& a, const Shape& shape) {
  array view(shape, a.dtype(), nullptr, {});
  share_view(a, view, broadcast_strides(a, shape));
  return view;
}

bool axis_layout(const array& a, int axis, AxisLayout& layout) {
  layout.along = a.shape(axis);
  layout.along_stride = a.strides(axis);
  return collapse_range(a, 0, axis, layout.before, layout.before_stride) &&
         collapse_range(a, axis + 1, static_cast<int>(a.ndim()), layout.after, layout.after_stride);
}

array with_axis_layout(const array& a, int axis, AxisLayout& layout) {
  if (axis_layout(a, axis, layout)) {
    return a;
  }
  array dense = contiguous(a);
  axis_layout(dense, axis, layout);
  return dense;
}

}  // namespace mlx::core::cpu
