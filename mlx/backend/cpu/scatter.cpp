// Scatters. Threads never share an element: each has a range of every slice, or a range of the
// target's memory. So the order of updates of one element, and with it the result, is that of one
// thread.
#include "mlx/primitives/scatter.h"

#include <algorithm>
#include <limits>

#include "mlx/backend/cpu/combine.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/indices.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/scatter_rows.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kBlock = 512;
constexpr int64_t kElementsPerTask = 1 << 15;
constexpr int64_t kShortestRange = 16;
constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

using Work = ScatterWork;

std::vector<int64_t> read_offsets(const IndexOffsets& positions) {
  std::vector<int64_t> offsets(positions.count());
  parallel_for(positions.count(), kElementsPerTask, [&](int64_t begin, int64_t end) {
    positions.read(begin, end, offsets.data() + begin);
  });
  return offsets;
}

// Slices of one element: the update's positions in runs, those with offsets in [low, high).
void scatter_elements(const Work& work, int64_t low, int64_t high) {
  auto kernel = combine_elements(work.mode, work.dtype);
  int64_t run = work.positions.shape.back(), step = work.positions.strides[0].back();
  int64_t size = work.dtype.size();
  for (int64_t at = 0; at < work.count(); at += run) {
    kernel(work.target, work.offsets.data() + at, run, work.updates + work.update_offset(at) * size,
           step, low, high);
  }
}

// Slices of many elements: for each position in [low, high) the part [begin, end) along `axis`.
void scatter_slices(const Work& work, int axis, int64_t begin, int64_t end, int64_t low,
                    int64_t high) {
  auto kernel = combine_row(work.mode, work.dtype);
  auto outer = work.slice.shape;
  const Strides &to_strides = work.slice.strides[0], &from_strides = work.slice.strides[1];
  outer[axis] = end - begin;
  int64_t row = outer.back(), rows = 1, size = work.dtype.size();
  outer.pop_back();
  for (int64_t extent : outer) {
    rows *= extent;
  }
  int64_t to_begin = begin * to_strides[axis], from_begin = begin * from_strides[axis];
  for (int64_t i = 0; i < work.count(); i++) {
    if (work.offsets[i] < low || work.offsets[i] >= high) {
      continue;
    }
    if (i + 2 < work.count()) {
      const char* next = work.target + (work.offsets[i + 2] + to_begin) * size;
      for (int64_t byte = 0; byte < std::min<int64_t>(row * size, 1024); byte += 64) {
        __builtin_prefetch(next + byte, 1);
      }
    }
    int64_t to = work.offsets[i] + to_begin, from = work.update_offset(i) + from_begin;
    for (int64_t r = 0; r < rows; r++) {
      kernel(work.target + (to + element_offset(r, outer, to_strides)) * size, to_strides.back(),
             work.updates + (from + element_offset(r, outer, from_strides)) * size,
             from_strides.back(), row);
    }
  }
}

// Bounds of ranges of the target's memory, one for each thread. None when the positions are so
// unevenly spread that ranges would leave threads idle.
std::vector<int64_t> target_ranges(const Work& work, int64_t target_span) {
  int64_t parts = num_threads();
  std::vector<int64_t> bounds{kLowest}, counts(parts);
  for (int64_t part = 1; part < parts; part++) {
    bounds.push_back(target_span / parts * part);
  }
  bounds.push_back(kHighest);
  int64_t width = std::max<int64_t>(1, target_span / parts);
  for (int64_t offset : work.offsets) {
    counts[std::min(offset / width, parts - 1)]++;
  }
  int64_t most = *std::max_element(counts.begin(), counts.end());
  return most * parts * 3 <= work.count() * 4 ? bounds : std::vector<int64_t>{};
}

// Threads own ranges of the target's memory, and pass over the other positions.
void scatter_by_target(const Work& work, const std::vector<int64_t>& bounds) {
  auto parts = static_cast<int64_t>(bounds.size()) - 1;
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    if (work.slice_elements == 1) {
      scatter_elements(work, bounds[begin], bounds[end]);
    } else {
      scatter_slices(work, 0, 0, work.slice.shape[0], bounds[begin], bounds[end]);
    }
  });
}

// Threads own ranges of the widest axis of the slices.
void scatter_by_columns(const Work& work) {
  auto& extents = work.slice.shape;
  int axis = static_cast<int>(std::max_element(extents.begin(), extents.end()) - extents.begin());
  int64_t width = extents[axis], threads = num_threads();
  int64_t units = (width + kShortestRange - 1) / kShortestRange;
  parallel_for(units, (units + threads - 1) / threads, [&](int64_t begin, int64_t end) {
    scatter_slices(work, axis, begin * kShortestRange, std::min(width, end * kShortestRange),
                   kLowest, kHighest);
  });
}

void run_scatter(const Work& work, bool slices_disjoint, int64_t target_span) {
  bool small = work.count() * work.slice_elements <= kElementsPerTask || num_threads() == 1;
  if (slices_disjoint && !small) {
    auto bounds = target_ranges(work, target_span);
    if (!bounds.empty()) {
      return scatter_by_target(work, bounds);
    }
    if (work.slice_elements > 1) {
      return scatter_by_columns(work);
    }
  }
  if (work.slice_elements == 1) {
    scatter_elements(work, kLowest, kHighest);
  } else {
    scatter_slices(work, 0, 0, work.slice.shape[0], kLowest, kHighest);
  }
}

void eval_scatter(Scatter& primitive, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  const array &a = inputs[0], &updates = inputs.back();
  array& out = outputs[0];
  bool in_place = cpu::write_over(a, out);
  if (!in_place) {
    out.set_data(allocator::malloc(out.nbytes()));
  }
  std::vector<array> indices(inputs.begin() + 1, inputs.end() - 1);
  size_t index_ndim = updates.ndim() - out.ndim();
  auto slice_begin = updates.shape().begin() + index_ndim;
  Shape index_shape(updates.shape().begin(), slice_begin);
  Shape slice_sizes(slice_begin, updates.shape().end());
  Strides position_strides(updates.strides().begin(), updates.strides().begin() + index_ndim);
  Strides slice_strides(updates.strides().begin() + index_ndim, updates.strides().end());
  IndexOffsets positions("scatter", indices, index_shape, out, primitive.axes(), slice_sizes);

  Work work{primitive.mode(),
            out.dtype(),
            out.data<char>(),
            updates.data<char>(),
            read_offsets(positions),
            collapse_dims(index_shape, {position_strides}),
            collapse_dims(slice_sizes, {out.strides(), slice_strides}),
            static_cast<int64_t>(num_elements(slice_sizes))};
  bool any = work.count() > 0 && work.slice_elements > 0;
  if (!in_place && any && scatters_rows(work, a, out)) {
    scatter_rows(work, a, out);
    return;
  }
  if (!in_place) {
    copy(a, out);
  }
  if (!any) {
    return;
  }
  // Slices at different indices overlap when they are longer than one along an indexed axis.
  bool disjoint = std::all_of(primitive.axes().begin(), primitive.axes().end(),
                              [&](int axis) { return slice_sizes[axis] == 1; });
  run_scatter(work, disjoint, static_cast<int64_t>(layout_span(out.shape(), out.strides())));
}

// ------------ Along an axis

struct AxisWork {
  UpdateMode mode;
  array out, indices, updates;
  int axis;
  AxisLayout to, at, from;

  IndexedAxis indexed() const { return {axis, to.along, 1, to.along_stride}; }
};

// Along the axis, one line: all updates of the elements [slab, .., column].
void scatter_line(const AxisWork& work, int64_t slab, int64_t low, int64_t high) {
  auto kernel = combine_elements(work.mode, work.out.dtype());
  int64_t size = work.out.itemsize(), index_size = work.indices.itemsize();
  char* target = const_cast<char*>(work.out.data<char>()) + slab * work.to.before_stride * size;
  const char* index = work.indices.data<char>() + slab * work.at.before_stride * index_size;
  const char* update = work.updates.data<char>() + slab * work.from.before_stride * size;
  int64_t offsets[kBlock];
  for (int64_t k = 0; k < work.at.along; k += kBlock) {
    int64_t n = std::min(kBlock, work.at.along - k);
    std::fill(offsets, offsets + n, 0);
    add_offsets("scatter_axis", work.indexed(), work.indices.dtype(),
                index + k * work.at.along_stride * index_size, work.at.along_stride, n, offsets);
    kernel(target, offsets, n, update + k * work.from.along_stride * size, work.from.along_stride,
           low, high);
  }
}

// Across the axis, the columns [begin, end) of one slab: update after update.
void scatter_columns(const AxisWork& work, int64_t slab, int64_t begin, int64_t end) {
  auto kernel = combine_elements(work.mode, work.out.dtype());
  int64_t size = work.out.itemsize(), index_size = work.indices.itemsize();
  char* target = const_cast<char*>(work.out.data<char>()) + slab * work.to.before_stride * size;
  const char* index = work.indices.data<char>() + slab * work.at.before_stride * index_size;
  const char* update = work.updates.data<char>() + slab * work.from.before_stride * size;
  int64_t offsets[kBlock];
  for (int64_t k = 0; k < work.at.along; k++) {
    for (int64_t j = begin; j < end; j += kBlock) {
      int64_t n = std::min(kBlock, end - j);
      for (int64_t i = 0; i < n; i++) {
        offsets[i] = (j + i) * work.to.after_stride;
      }
      int64_t first = k * work.at.along_stride + j * work.at.after_stride;
      add_offsets("scatter_axis", work.indexed(), work.indices.dtype(), index + first * index_size,
                  work.at.after_stride, n, offsets);
      int64_t from = k * work.from.along_stride + j * work.from.after_stride;
      kernel(target, offsets, n, update + from * size, work.from.after_stride, kLowest, kHighest);
    }
  }
}

void run_scatter_axis(const AxisWork& work) {
  int64_t along = std::max<int64_t>(1, work.at.along), slabs = work.to.before;
  if (work.to.after > 1) {
    int64_t grain = std::max(kShortestRange, kElementsPerTask / along);
    if (slabs == 1) {
      parallel_for(work.to.after, grain,
                   [&](int64_t begin, int64_t end) { scatter_columns(work, 0, begin, end); });
      return;
    }
    grain = std::max<int64_t>(1, kElementsPerTask / (along * work.to.after));
    parallel_for(slabs, grain, [&](int64_t begin, int64_t end) {
      for (int64_t slab = begin; slab < end; slab++) {
        scatter_columns(work, slab, 0, work.to.after);
      }
    });
    return;
  }
  parallel_for(slabs, std::max<int64_t>(1, kElementsPerTask / along),
               [&](int64_t begin, int64_t end) {
                 for (int64_t slab = begin; slab < end; slab++) {
                   scatter_line(work, slab, kLowest, kHighest);
                 }
               });
}

void eval_scatter_axis(ScatterAxis& primitive, const std::vector<array>& inputs,
                       std::vector<array>& outputs) {
  array& out = outputs[0];
  take_over(inputs[0], out);
  if (inputs[2].size() == 0) {
    return;
  }
  AxisWork work{primitive.mode(), out, inputs[1], inputs[2], primitive.axis(), {}, {}, {}};
  if (!axis_layout(out, primitive.axis(), work.to)) {
    out.set_data(allocator::malloc(out.nbytes()));
    copy(inputs[0], out);
    work.out = out;
    axis_layout(out, primitive.axis(), work.to);
  }
  array indices = broadcast_view(inputs[1], inputs[2].shape());
  work.indices = with_axis_layout(indices, primitive.axis(), work.at);
  work.updates = with_axis_layout(inputs[2], primitive.axis(), work.from);
  run_scatter_axis(work);
}

const Register<Scatter> scatter(eval_scatter);
const Register<ScatterAxis> scatter_axis(eval_scatter_axis);

}  // namespace

}  // namespace mlx::core::cpu
