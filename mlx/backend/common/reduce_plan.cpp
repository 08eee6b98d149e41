// Axis order and work division of reductions.
#include "mlx/backend/common/reduce_plan.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace mlx::core {

namespace {

/** Distance in memory; an axis that stands still costs least when outermost. */
int64_t distance(const ReduceAxis& axis) {
  return axis.in_stride == 0 ? std::numeric_limits<int64_t>::max() : std::abs(axis.in_stride);
}

/** Sorts by distance and merges axes that walk as one. */
void collapse(std::vector<ReduceAxis>& axes) {
  std::stable_sort(axes.begin(), axes.end(), [](const ReduceAxis& a, const ReduceAxis& b) {
    return distance(a) > distance(b);
  });
  std::vector<ReduceAxis> merged;
  for (const auto& axis : axes) {
    if (!merged.empty() && merged.back().in_stride == axis.in_stride * axis.size &&
        merged.back().out_stride == axis.out_stride * axis.size) {
      merged.back() = {merged.back().size * axis.size, axis.in_stride, axis.out_stride};
    } else {
      merged.push_back(axis);
    }
  }
  if (merged.empty()) {
    merged.push_back({1, 1, 1});
  }
  axes = std::move(merged);
}

}  // namespace

ReduceAxes split_axes(const Shape& shape, const Strides& strides, const std::vector<int>& axes) {
  ReduceAxes split;
  int64_t out_stride = 1;
  for (int i = static_cast<int>(shape.size()) - 1; i >= 0; i--) {
    bool is_reduced = std::binary_search(axes.begin(), axes.end(), i);
    int64_t size = shape[i];
    if (size != 1) {
      auto& group = is_reduced ? split.reduced : split.kept;
      group.insert(group.begin(), {size, strides[i], is_reduced ? 0 : out_stride});
    }
    if (!is_reduced) {
      out_stride *= size;
    }
  }
  bool nothing_reduced = split.reduced.empty();
  bool nothing_kept = split.kept.empty();
  collapse(split.kept);
  collapse(split.reduced);
  split.by_columns = !nothing_kept && (nothing_reduced || distance(split.kept.back()) <
                                                              distance(split.reduced.back()));
  return split;
}

int64_t outer_size(const std::vector<ReduceAxis>& axes) {
  int64_t size = 1;
  for (size_t i = 0; i + 1 < axes.size(); i++) {
    size *= axes[i].size;
  }
  return size;
}

ReduceOffset outer_offset(const std::vector<ReduceAxis>& axes, int64_t index) {
  ReduceOffset offset{0, 0};
  for (size_t i = axes.size() - 1; i-- > 0 && index;) {
    int64_t position = index % axes[i].size;
    offset.in += position * axes[i].in_stride;
    offset.out += position * axes[i].out_stride;
    index /= axes[i].size;
  }
  return offset;
}

ReduceUnits::ReduceUnits(int64_t extent, int64_t width, int64_t outer, int64_t tasks) {
  constexpr int64_t unit_elements = 1 << 14;
  constexpr int64_t merged_totals = 1 << 14;  // one after the other
  constexpr int64_t enough_tasks = 16;
  piece = std::min(extent, std::max<int64_t>(128, unit_elements / width));
  pieces = (extent + piece - 1) / piece;
  count = outer * pieces;
  per_chunk = count;
  if (tasks < enough_tasks) {
    int64_t total = extent * outer * width;
    int64_t most_chunks = std::clamp<int64_t>(merged_totals / width, 64, 256);
    int64_t chunk_elements = std::max(unit_elements, total * tasks / most_chunks);
    per_chunk = std::clamp<int64_t>(chunk_elements / (piece * width), 1, count);
  }
  chunks = (count + per_chunk - 1) / per_chunk;
}

}  // namespace mlx::core
