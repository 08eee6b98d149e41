// Gathers: rows are copied whole, past the caches when the result is larger than they are; single
// elements go through blocks of checked offsets.
#include "mlx/primitives/gather.h"

#include <algorithm>
#include <cstring>

#include "mlx/backend/cpu/combine.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/indices.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/words.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kBlock = 512;
constexpr int64_t kBytesPerTask = 1 << 16;
// How far ahead rows are asked for, and how much of each: the rest follows by itself.
constexpr int64_t kPrefetchAhead = 8192;
constexpr int64_t kPrefetchBytes = 4096;

void prefetch_row(const char* from, int64_t bytes) {
  for (int64_t i = 0; i < std::min(bytes, kPrefetchBytes); i += 64) {
    __builtin_prefetch(from + i);
  }
}

// Calls f(first, n, offsets) for blocks of positions, on all threads.
template <typename F>
void for_blocks(const IndexOffsets& positions, int64_t bytes_each, F f) {
  int64_t grain = std::max<int64_t>(1, kBytesPerTask / std::max<int64_t>(1, bytes_each));
  parallel_for(positions.count(), grain, [&](int64_t begin, int64_t end) {
    int64_t offsets[kBlock];
    for (int64_t at = begin; at < end; at += kBlock) {
      int64_t n = std::min(kBlock, end - at);
      positions.read(at, at + n, offsets);
      f(at, n, offsets);
    }
  });
}

template <typename Word>
void gather_elements(const IndexOffsets& positions, const void* source, void* target) {
  const Word* from = static_cast<const Word*>(source);
  Word* to = static_cast<Word*>(target);
  for_blocks(positions, 2 * sizeof(Word), [&](int64_t at, int64_t n, const int64_t* offsets) {
    for (int64_t i = 0; i < n; i++) {
      to[at + i] = from[offsets[i]];
    }
  });
}

void gather_rows(const IndexOffsets& positions, const char* from, char* to, int64_t row_bytes,
                 int64_t itemsize) {
  bool streaming = static_cast<size_t>(positions.count() * row_bytes) >= stream_threshold;
  int64_t ahead = std::clamp<int64_t>(kPrefetchAhead / row_bytes, 1, 16);
  for_blocks(positions, row_bytes, [&](int64_t at, int64_t n, const int64_t* offsets) {
    for (int64_t i = 0; i < n; i++) {
      if (i + ahead < n) {
        prefetch_row(from + offsets[i + ahead] * itemsize, row_bytes);
      }
      char* row = to + (at + i) * row_bytes;
      const char* source = from + offsets[i] * itemsize;
      if (streaming) {
        stream_bytes(row, source, row_bytes);
      } else {
        std::memcpy(row, source, row_bytes);
      }
    }
    if (streaming) {
      stream_fence();
    }
  });
}

void gather_strided(const IndexOffsets& positions, const array& a, array& out,
                    const CollapsedLayout& slice, int64_t slice_elements) {
  auto kernel = combine_row(UpdateMode::Replace, a.dtype());
  int64_t size = a.itemsize(), row = slice.shape.back(), rows = slice_elements / row;
  auto outer = slice.shape;
  outer.pop_back();
  for_blocks(positions, slice_elements * size, [&](int64_t at, int64_t n, const int64_t* offsets) {
    for (int64_t i = 0; i < n; i++) {
      char* to = out.data<char>() + (at + i) * slice_elements * size;
      for (int64_t r = 0; r < rows; r++) {
        int64_t offset = offsets[i] + element_offset(r, outer, slice.strides[0]);
        kernel(to + r * row * size, 1, a.data<char>() + offset * size, slice.strides[0].back(),
               row);
      }
    }
  });
}

// Few large slices: threads share each one.
void gather_large(const IndexOffsets& positions, const array& a, array& out,
                  const Shape& slice_sizes, int64_t slice_elements) {
  int64_t size = a.itemsize();
  Strides to_strides = row_contiguous_strides(slice_sizes);
  for (int64_t i = 0; i < positions.count(); i++) {
    int64_t offset;
    positions.read(i, i + 1, &offset);
    copy_strided(a.data<char>() + offset * size, a.strides(),
                 out.data<char>() + i * slice_elements * size, to_strides, slice_sizes, size);
  }
}

// out[j] = from[offsets[j] + j * step]
template <typename Word>
void pick(const void* source, const int64_t* offsets, int64_t step, int64_t n, void* target) {
  const Word* from = static_cast<const Word*>(source);
  Word* to = static_cast<Word*>(target);
  for (int64_t j = 0; j < n; j++) {
    to[j] = from[offsets[j] + j * step];
  }
}

using Pick = void (*)(const void*, const int64_t*, int64_t, int64_t, void*);

Pick pick_of(size_t itemsize) {
  return dispatch_word(static_cast<int64_t>(itemsize),
                       [](auto word) -> Pick { return pick<decltype(word)>; });
}

void eval_gather(Gather& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& a = inputs[0];
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  std::vector<array> indices(inputs.begin() + 1, inputs.end());
  Shape index_shape(out.shape().begin(), out.shape().end() - a.ndim());
  Shape slice_sizes(out.shape().end() - a.ndim(), out.shape().end());
  IndexOffsets positions("gather", indices, index_shape, a, primitive.axes(), slice_sizes);
  int64_t slice_elements = static_cast<int64_t>(num_elements(slice_sizes));
  int64_t size = a.itemsize();
  if (slice_elements == 0) {
    return;
  }
  auto slice = collapse_dims(slice_sizes, {a.strides()});
  bool dense = slice.shape.size() == 1 && slice.strides[0][0] == 1;
  if (slice_elements == 1) {
    dispatch_word(size, [&](auto word) {
      gather_elements<decltype(word)>(positions, a.data<char>(), out.data<char>());
    });
  } else if (positions.count() < 2 * num_threads() && slice_elements * size > kBytesPerTask) {
    gather_large(positions, a, out, slice_sizes, slice_elements);
  } else if (dense) {
    gather_rows(positions, a.data<char>(), out.data<char>(), slice_elements * size, size);
  } else {
    gather_strided(positions, a, out, slice, slice_elements);
  }
}

// A gather along an axis in lines: along the axes after it, or along it when there are none. Each
// line has an index for every element, or one for all.
struct AxisGather {
  array a, indices;
  array& out;
  AxisLayout from, at;
  IndexedAxis axis;
  bool over_after, one_index;
  int64_t line, lines_per_slab, index_step, source_step;
  // Offsets of a line, when it is the same for all lines.
  std::vector<int64_t> common;

  AxisGather(const array& source, const array& index, array& out, int axis_number)
      : a(source), indices(index), out(out), axis{} {
    a = with_axis_layout(source, axis_number, from);
    indices = with_axis_layout(broadcast_view(index, out.shape()), axis_number, at);
    axis = {axis_number, from.along, 1, from.along_stride};
    over_after = from.after > 1;
    one_index = over_after && at.after_stride == 0;
    line = over_after ? from.after : at.along;
    lines_per_slab = over_after ? at.along : 1;
    index_step = over_after ? at.after_stride : at.along_stride;
    source_step = over_after ? from.after_stride : 0;
    if (!over_after && at.before_stride == 0 && from.before > 1) {
      common.resize(line);
      read_offsets(indices.data<char>(), line, common.data());
    }
  }

  int64_t lines() const { return from.before * lines_per_slab; }

  void read_offsets(const char* first, int64_t n, int64_t* offsets) const {
    std::fill(offsets, offsets + n, 0);
    add_offsets("take_along_axis", axis, indices.dtype(), first, index_step, n, offsets);
  }

  // The elements [begin, end) of a line.
  void run(int64_t number, int64_t begin, int64_t end) const {
    int64_t slab = number / lines_per_slab, k = number % lines_per_slab;
    int64_t size = out.itemsize(), index_size = indices.itemsize();
    int64_t first_index = slab * at.before_stride + k * at.along_stride;
    const char* source = a.data<char>() + slab * from.before_stride * size;
    const char* index = indices.data<char>() + first_index * index_size;
    char* target = out.data<char>() + number * line * size;
    auto pick = pick_of(size);
    int64_t offsets[kBlock];
    if (!common.empty()) {
      pick(source, common.data() + begin, 0, end - begin, target + begin * size);
    } else if (one_index) {
      read_offsets(index, 1, offsets);
      auto copy_row = combine_row(UpdateMode::Replace, out.dtype());
      copy_row(target + begin * size, 1, source + (offsets[0] + begin * source_step) * size,
               source_step, end - begin);
    } else {
      for (int64_t j = begin; j < end; j += kBlock) {
        int64_t n = std::min(kBlock, end - j);
        read_offsets(index + j * index_step * index_size, n, offsets);
        pick(source + j * source_step * size, offsets, source_step, n, target + j * size);
      }
    }
  }
};

void eval_gather_axis(GatherAxis& primitive, const std::vector<array>& inputs,
                      std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  AxisGather gather(inputs[0], inputs[1], out, primitive.axis());
  int64_t size = out.itemsize();
  if (gather.lines() == 1) {
    parallel_for(gather.line, kBytesPerTask / size,
                 [&](int64_t begin, int64_t end) { gather.run(0, begin, end); });
    return;
  }
  int64_t grain = std::max<int64_t>(1, kBytesPerTask / (gather.line * size));
  parallel_for(gather.lines(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      gather.run(i, 0, gather.line);
    }
  });
}

const Register<Gather> gather(eval_gather);
const Register<GatherAxis> gather_axis(eval_gather_axis);

}  // namespace

}  // namespace mlx::core::cpu
