// Copies: the strides are brought into a normal form (forward in the destination, its fastest axis
// last, axes merged), and the form decides between long rows, blocked transpose and gathering.
#include "mlx/backend/cpu/copy.h"

#include <emmintrin.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "mlx/backend/cpu/program.h"
#include "mlx/backend/cpu/program_walk.h"
#include "mlx/backend/cpu/stream.h"
#include "mlx/backend/cpu/transpose.h"
#include "mlx/backend/cpu/words.h"
#include "mlx/core/errors.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

/** Bytes per thread that outweigh handing them over. */
constexpr int64_t grain_bytes = 64 << 10;

/** Places in memory that are read in turn and of which a processor foresees what is next. */
constexpr int64_t most_streams = 32;

/** A copy in normal form. Strides in elements; the last axis has the smallest one in dst. */
struct Job {
  const char* src;
  char* dst;
  SmallVector<int64_t> shape;
  Strides src_strides, dst_strides;
  int64_t size;  // bytes per element
  bool stream;

  int axes() const { return static_cast<int>(shape.size()); }
  int64_t inner() const { return shape.back(); }

  /** Calls f(src, dst) with the pointers of each position in [begin, end) of the axes but `skip`
   *  last ones. */
  template <typename F>
  void for_positions(int skip, int64_t begin, int64_t end, F&& f) const {
    int outer = axes() - skip;
    SmallVector<int64_t> index(outer, 0);
    const char* s = src;
    char* d = dst;
    int64_t rest = begin;
    for (int axis = outer - 1; axis >= 0; --axis) {
      index[axis] = rest % shape[axis];
      rest /= shape[axis];
      s += index[axis] * src_strides[axis] * size;
      d += index[axis] * dst_strides[axis] * size;
    }
    for (int64_t i = begin; i < end; ++i) {
      f(s, d);
      for (int axis = outer - 1; axis >= 0; --axis) {
        bool carry = ++index[axis] == shape[axis];
        int64_t steps = carry ? 1 - shape[axis] : 1;
        s += steps * src_strides[axis] * size;
        d += steps * dst_strides[axis] * size;
        if (!carry) break;
        index[axis] = 0;
      }
    }
  }
};

int64_t count(const SmallVector<int64_t>& shape, int skip) {
  return std::accumulate(shape.begin(), shape.end() - skip, int64_t(1), std::multiplies<>());
}

Job normal_form(const void* src, Strides src_strides, void* dst, Strides dst_strides, Shape shape,
                size_t itemsize) {
  auto* s = static_cast<const char*>(src);
  auto* d = static_cast<char*>(dst);
  auto size = static_cast<int64_t>(itemsize);
  for (size_t i = 0; i < shape.size(); ++i) {
    if (dst_strides[i] >= 0) continue;
    s += src_strides[i] * (shape[i] - 1) * size;
    d += dst_strides[i] * (shape[i] - 1) * size;
    src_strides[i] = -src_strides[i];
    dst_strides[i] = -dst_strides[i];
  }
  std::vector<int> order(shape.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return dst_strides[a] > dst_strides[b]; });
  Shape sorted;
  std::vector<Strides> both(2);
  for (int axis : order) {
    sorted.push_back(shape[axis]);
    both[0].push_back(src_strides[axis]);
    both[1].push_back(dst_strides[axis]);
  }
  auto collapsed = collapse_dims(sorted, std::move(both));
  return {s, d, collapsed.shape, collapsed.strides[0], collapsed.strides[1], size, false};
}

template <typename T>
void strided_row(char* dst, int64_t dst_stride, const char* src, int64_t src_stride,
                 int64_t count) {
  auto* d = reinterpret_cast<T*>(dst);
  auto* s = reinterpret_cast<const T*>(src);
  for (int64_t i = 0; i < count; ++i) d[i * dst_stride] = s[i * src_stride];
}

void copy_row(const Job& job, const char* s, char* d, int64_t n) {
  int64_t from = job.src_strides.back(), to = job.dst_strides.back();
  if (from == 1 && to == 1) {
    job.stream ? stream_bytes(d, s, n * job.size) : void(std::memcpy(d, s, n * job.size));
  } else if (from == 0 && to == 1) {
    fill_row(d, s, n, static_cast<int>(job.size));
  } else {
    dispatch_word(job.size, [&](auto word) { strided_row<decltype(word)>(d, to, s, from, n); });
  }
}

/** One long row: cut along itself. */
void copy_single_row(const Job& job) {
  constexpr int64_t piece = 16384;
  int64_t pieces = (job.inner() + piece - 1) / piece;
  parallel_for(pieces, std::max<int64_t>(1, grain_bytes / (piece * job.size)),
               [&](int64_t begin, int64_t end) {
                 int64_t first = begin * piece, last = std::min(end * piece, job.inner());
                 copy_row(job, job.src + first * job.src_strides.back() * job.size,
                          job.dst + first * job.dst_strides.back() * job.size, last - first);
                 if (job.stream) stream_fence();
               });
}

/** How many places of the source are read in turn, each a little further every time, when rows are
 *  copied in the order of dst. */
int64_t source_streams(const Job& job) {
  auto first = job.src_strides.begin(), last = first + job.axes() - 1;
  auto near =
      std::min_element(first, last, [](int64_t a, int64_t b) { return std::abs(a) < std::abs(b); });
  int64_t streams = 1;
  for (auto axis = near - first + 1; axis + 1 < job.axes(); ++axis) streams *= job.shape[axis];
  return streams;
}

/** Puts the outer axes in the order of the source. */
void follow_source(Job& job) {
  for (int end = job.axes() - 1; end > 1; --end) {
    for (int axis = 0; axis + 1 < end; ++axis) {
      if (std::abs(job.src_strides[axis]) >= std::abs(job.src_strides[axis + 1])) continue;
      std::swap(job.shape[axis], job.shape[axis + 1]);
      std::swap(job.src_strides[axis], job.src_strides[axis + 1]);
      std::swap(job.dst_strides[axis], job.dst_strides[axis + 1]);
    }
  }
}

void copy_rows(Job job) {
  if (job.axes() == 1) return copy_single_row(job);
  int64_t row_bytes = job.inner() * job.size;
  if (job.stream && job.src_strides.back() == 1 && source_streams(job) > most_streams) {
    follow_source(job);
  }
  parallel_for(count(job.shape, 1), std::max<int64_t>(1, grain_bytes / row_bytes),
               [&](int64_t begin, int64_t end) {
                 job.for_positions(1, begin, end, [&](const char* s, char* d) {
                   copy_row(job, s, d, job.inner());
                 });
                 if (job.stream) stream_fence();
               });
}

/** A block of the transpose: `tall` elements along the source's fast axis, `wide` along the
 *  destination's. Neighbouring blocks follow the source, whose rows are then read in sequence; both
 *  were measured. */
constexpr int64_t tall = 64, wide = 32;

/** Asks for the block to the right of the one at s: it comes next. */
void prefetch_block(const Job& job, const char* s, int64_t columns) {
  int64_t step = job.src_strides.back() * job.size, bytes = tall * job.size;
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(s + bytes + c * step + i);
  }
}

/** Transposes the block at (r, c) of the last two axes: the one before the last is fast in src, the
 *  last is fast in dst. Goes by way of a buffer when the destination is streamed. */
void transpose_block(const Job& job, const char* s, char* d, int64_t r, int64_t c) {
  int a = job.axes() - 2, b = job.axes() - 1;
  int64_t rows = std::min(tall, job.shape[a] - r), columns = std::min(wide, job.shape[b] - c);
  s += (r + c * job.src_strides[b]) * job.size;
  d += (r * job.dst_strides[a] + c) * job.size;
  auto kernel = transpose_kernels().at[__builtin_ctz(static_cast<unsigned>(job.size))];
  if (!job.stream) {
    kernel(d, job.dst_strides[a], s, job.src_strides[b], columns, rows);
    return;
  }
  if (r + 2 * tall <= job.shape[a]) prefetch_block(job, s, columns);
  alignas(64) char buffer[tall * wide * sizeof(WideWord)];
  kernel(buffer, wide, s, job.src_strides[b], columns, rows);
  for (int64_t i = 0; i < rows; ++i) {
    stream_bytes(d + i * job.dst_strides[a] * job.size, buffer + i * wide * job.size,
                 columns * job.size);
  }
}

/** Brings the axis that is fastest in the source next to the last, then works by blocks. */
void copy_transposed(Job job, int fast) {
  for (int axis = fast; axis + 2 < job.axes(); ++axis) {
    std::swap(job.shape[axis], job.shape[axis + 1]);
    std::swap(job.src_strides[axis], job.src_strides[axis + 1]);
    std::swap(job.dst_strides[axis], job.dst_strides[axis + 1]);
  }
  int a = job.axes() - 2, b = job.axes() - 1;
  int64_t down = (job.shape[a] + tall - 1) / tall, across = (job.shape[b] + wide - 1) / wide;
  int64_t blocks = down * across, matrices = count(job.shape, 2);
  int64_t block_bytes = std::min(tall, job.shape[a]) * std::min(wide, job.shape[b]) * job.size;
  parallel_for(matrices * blocks, std::max<int64_t>(1, grain_bytes / block_bytes),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end;) {
                   int64_t matrix = i / blocks, stop = std::min(end, (matrix + 1) * blocks);
                   job.for_positions(2, matrix, matrix + 1, [&](const char* s, char* d) {
                     for (; i < stop; ++i) {
                       int64_t block = i % blocks;
                       transpose_block(job, s, d, block % down * tall, block / down * wide);
                     }
                   });
                 }
                 if (job.stream) stream_fence();
               });
}

void run(Job job) {
  if (count(job.shape, 0) == 0) return;
  job.stream = count(job.shape, 0) * job.size >= static_cast<int64_t>(stream_threshold) &&
               job.dst_strides.back() == 1;
  if (job.src_strides.back() != 1 && job.src_strides.back() != 0 && job.dst_strides.back() == 1) {
    for (int axis = 0; axis + 1 < job.axes(); ++axis) {
      if (job.src_strides[axis] == 1 && job.shape[axis] >= 4 && job.inner() >= 4) {
        return copy_transposed(std::move(job), axis);
      }
    }
  }
  copy_rows(std::move(job));
}

}  // namespace

void copy_strided(const void* src, const Strides& src_strides, void* dst,
                  const Strides& dst_strides, const Shape& shape, size_t itemsize) {
  run(normal_form(src, src_strides, dst, dst_strides, shape, itemsize));
}

void copy(const array& src, array& dst) {
  bool fresh = dst.data_shared_ptr() == nullptr;
  if (src.dtype() != dst.dtype()) {
    if (fresh && src.shape() == dst.shape()) {
      std::vector<array> outputs{dst};
      run_elementwise(ElementwiseOp::Cast, {src}, outputs);
      return;
    }
    array converted(src.shape(), dst.dtype(), nullptr, {});
    std::vector<array> outputs{converted};
    run_elementwise(ElementwiseOp::Cast, {src}, outputs);
    copy(converted, dst);
    return;
  }
  if (fresh) dst.set_data(allocator::malloc(dst.nbytes()));
  if (dst.size() == 0) return;
  copy_strided(src.data<char>(), broadcast_strides(src, dst.shape()), dst.data<char>(),
               dst.strides(), dst.shape(), dst.itemsize());
}

array contiguous(const array& a) {
  if (a.flags().row_contiguous) return a;
  array out(a.shape(), a.dtype(), nullptr, {});
  copy(a, out);
  out.set_status(array::Status::available);
  return out;
}

bool write_over(const array& in, array& out) {
  if (!can_donate(in, out) || in.buffer().device_memory()) {
    return false;
  }
  donate(in, out);
  return true;
}

void fill(array& dst, const void* value) {
  copy_strided(value, Strides(dst.ndim(), 0), dst.data<char>(), dst.strides(), dst.shape(),
               dst.itemsize());
}

void stream_bytes(void* dst, const void* src, size_t bytes) {
  constexpr size_t line = 64;
  auto* d = static_cast<char*>(dst);
  auto* s = static_cast<const char*>(src);
  size_t head = std::min<size_t>(-reinterpret_cast<uintptr_t>(d) & (line - 1), bytes);
  size_t lines = (bytes - head) / line, tail = head + lines * line;
  std::memcpy(d, s, head);
  stream_kernels().lines(d + head, s + head, static_cast<int64_t>(lines));
  std::memcpy(d + tail, s + tail, bytes - tail);
}

void stream_fence() { _mm_sfence(); }

}  // namespace mlx::core::cpu
