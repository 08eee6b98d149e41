// Layout decisions of layout.h. Everything here works on shapes and strides alone, so that each
// backend sees the same layouts for the same arrays.
#include "mlx/core/layout.h"

#include <algorithm>
#include <cstdlib>

#include "mlx/core/errors.h"

namespace mlx::core {

namespace {

bool is_empty(const Shape& shape) {
  return std::find(shape.begin(), shape.end(), 0) != shape.end();
}

// Whether the axes axis_at(0), axis_at(1), ..., the fastest first, walk memory one element after
// the other.
template <typename F>
bool is_dense(const Shape& shape, const Strides& strides, size_t axes, const F& axis_at) {
  int64_t expected = 1;
  for (size_t i = 0; i < axes; i++) {
    size_t axis = axis_at(i);
    if (shape[axis] == 1) {
      continue;
    }
    if (strides[axis] != expected) {
      return false;
    }
    expected *= shape[axis];
  }
  return true;
}

// Whether the elements fill memory without gaps in some order of the axes.
bool fills_memory(const Shape& shape, const Strides& strides, size_t data_size) {
  SmallVector<size_t> moving;
  size_t distinct = 1;
  for (size_t i = 0; i < shape.size(); i++) {
    if (shape[i] != 1 && strides[i] != 0) {
      moving.push_back(i);
      distinct *= shape[i];
    }
  }
  if (distinct != data_size) {
    return false;
  }
  std::sort(moving.begin(), moving.end(),
            [&](size_t a, size_t b) { return strides[a] < strides[b]; });
  return is_dense(shape, strides, moving.size(), [&](size_t i) { return moving[i]; });
}

}  // namespace

Strides row_contiguous_strides(const Shape& shape) {
  Strides strides(shape.size());
  int64_t stride = 1;
  for (int i = static_cast<int>(shape.size()) - 1; i >= 0; i--) {
    strides[i] = stride;
    // Only extents before a zero overflow, and their strides do not matter.
    if (__builtin_mul_overflow(stride, static_cast<int64_t>(shape[i]), &stride)) {
      stride = 0;
    }
  }
  return strides;
}

array::Flags layout_flags(const Shape& shape, const Strides& strides, size_t data_size) {
  if (is_empty(shape)) {
    return {true, true, true};
  }
  size_t ndim = shape.size();
  array::Flags flags;
  flags.row_contiguous = is_dense(shape, strides, ndim, [&](size_t i) { return ndim - 1 - i; });
  flags.col_contiguous = is_dense(shape, strides, ndim, [](size_t i) { return i; });
  flags.contiguous = flags.row_contiguous || flags.col_contiguous
                         ? num_elements(shape) == data_size
                         : fills_memory(shape, strides, data_size);
  return flags;
}

size_t layout_span(const Shape& shape, const Strides& strides) {
  if (is_empty(shape)) {
    return 0;
  }
  size_t span = 1;
  for (size_t i = 0; i < shape.size(); i++) {
    span += static_cast<size_t>(shape[i] - 1) * std::abs(strides[i]);
  }
  return span;
}

ByteRange byte_range(const array& a) {
  if (a.size() == 0) {
    return {0, 0};
  }
  int64_t low = 0, high = 1, size = static_cast<int64_t>(a.itemsize());
  for (size_t i = 0; i < a.ndim(); i++) {
    int64_t reach = (a.shape()[i] - 1) * a.strides()[i];
    (reach < 0 ? low : high) += reach;
  }
  return {(a.offset() + low) * size, (a.offset() + high) * size};
}

CollapsedLayout collapse_dims(const Shape& shape, std::vector<Strides> strides) {
  CollapsedLayout result;
  result.strides.resize(strides.size());
  auto append = [&](int64_t extent, auto stride_of) {
    result.shape.push_back(extent);
    for (size_t k = 0; k < strides.size(); k++) {
      result.strides[k].push_back(stride_of(k));
    }
  };
  if (is_empty(shape)) {
    append(0, [](size_t) { return 0; });
    return result;
  }
  for (size_t i = 0; i < shape.size(); i++) {
    if (shape[i] == 1) {
      continue;
    }
    bool merges = !result.shape.empty();
    for (size_t k = 0; merges && k < strides.size(); k++) {
      merges = result.strides[k].back() == strides[k][i] * shape[i];
    }
    if (!merges) {
      append(shape[i], [&](size_t k) { return strides[k][i]; });
      continue;
    }
    result.shape.back() *= shape[i];
    for (size_t k = 0; k < strides.size(); k++) {
      result.strides[k].back() = strides[k][i];
    }
  }
  if (result.shape.empty()) {
    append(1, [](size_t) { return 1; });
  }
  return result;
}

Strides broadcast_strides(const array& in, const Shape& shape) {
  Strides strides(shape.size(), 0);
  size_t missing = shape.size() - in.ndim();
  for (size_t i = 0; i < in.ndim(); i++) {
    strides[missing + i] = in.shape()[i] == 1 ? 0 : in.strides()[i];
  }
  return strides;
}

std::optional<Strides> reshape_strides(const array& in, const Shape& shape) {
  if (in.size() == 0 || in.flags().row_contiguous) {
    return row_contiguous_strides(shape);
  }
  // Each run of axes that walks memory evenly is cut into new axes, from the last one on.
  auto [extents, all_strides] = collapse_dims(in.shape(), {in.strides()});
  const Strides& old = all_strides[0];
  Strides strides(shape.size(), 0);
  int axis = static_cast<int>(shape.size()) - 1;
  for (int run = static_cast<int>(extents.size()) - 1; run >= 0; run--) {
    int64_t covered = 1;
    while (axis >= 0 && (covered < extents[run] || shape[axis] == 1)) {
      strides[axis] = old[run] * covered;
      covered *= shape[axis--];
    }
    if (covered != extents[run]) {
      return std::nullopt;
    }
  }
  return strides;
}

std::optional<Strides> view_strides(const array& in, size_t itemsize) {
  int64_t old_size = in.itemsize(), new_size = itemsize;
  Strides strides = in.strides();
  if (old_size == new_size) {
    return strides;
  }
  if (in.shape().back() == 1) {
    strides.back() = 1;
  }
  if (strides.back() != 1 || in.offset() * old_size % new_size != 0) {
    return std::nullopt;
  }
  for (size_t i = 0; i + 1 < strides.size(); i++) {
    if (strides[i] * old_size % new_size != 0) {
      return std::nullopt;
    }
    strides[i] = strides[i] * old_size / new_size;
  }
  return strides;
}

void share_view(const array& in, array& out, const Strides& strides, int64_t offset) {
  size_t span = layout_span(out.shape(), strides);
  out.copy_shared_buffer(in, strides, layout_flags(out.shape(), strides, span), span, offset);
}

bool is_at_hand(const array& a) {
  return a.status() == array::Status::available && a.data_shared_ptr() && !a.is_tracer() &&
         !a.doubts() && !a.known_error();
}

array view_at_hand(const array& a, Shape shape, const Strides& strides, int64_t offset) {
  array view(std::move(shape), a.dtype(), nullptr, {});
  share_view(a, view, strides, offset);
  view.set_status(array::Status::available);
  return view;
}

bool can_donate(const array& in, const array& out) {
  // A buffer with a deleter is memory that somebody lent: it is read, never written.
  return in.is_donatable() && !in.data_shared_ptr()->d && in.itemsize() == out.itemsize() &&
         in.size() == out.size() && in.flags().contiguous && in.data_size() == in.size() &&
         (in.flags().row_contiguous || in.shape() == out.shape());
}

void donate(const array& in, array& out) {
  internal_check(can_donate(in, out), "donate: the buffer cannot become that of the output");
  if (in.flags().row_contiguous) {
    share_view(in, out, row_contiguous_strides(out.shape()));
  } else {
    out.copy_shared_buffer(in);
  }
}

}  // namespace mlx::core
