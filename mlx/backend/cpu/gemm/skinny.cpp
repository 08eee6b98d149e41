// Products with at most a few rows on one side: that side is widened and laid out in rows, the
// other is streamed once. Threads split the columns, or the depth where there are few columns or
// lines run across them.
#include <algorithm>

#include "mlx/backend/cpu/gemm/blocked.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/gemm/skinny.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kMaxRows = 16;
constexpr int64_t kMaxLineRows = 8;  // where kernels multiply pairs, which lines do not have
constexpr int64_t kColumnBlock = 1 << 16;
constexpr int64_t kDotColumns = 16;      // of a range: whole steps of the kernels, whose last few
constexpr int64_t kLineColumns = 128;    // columns take no vectors; along lines, whole cache lines
constexpr int64_t kRangeWork = 1 << 15;  // elements that outweigh handing a range to a thread
constexpr int64_t kManyColumns = 2048;
constexpr int64_t kDepthGrain = 4096;
constexpr int64_t kMostParts = 16;
constexpr int64_t kStripColumns = 1024;  // of a part, for a thread at a time
constexpr int64_t kFoldWork = 1 << 13;   // sums worth a thread's while, out of others' caches
constexpr int64_t kLineDepth = 128;      // lines of a part
constexpr int64_t kMostLineParts = 32;
constexpr int64_t kMostLineRows = 2;  // of which there are sums for every part

struct Choice {
  const SkinnyKernels* stream;
  const GemmKernels* widen;
};

// The streaming kernels of a dtype, and kernels whose packers widen it to the type of the sums.
Choice choose(Dtype dtype) {
  const SkinnyTables& stream = skinny_kernels();
  const RealGemmKernels& widen = real_gemm_kernels();
  switch (dtype.val()) {
    case Dtype::Val::float32:
      return {&stream.f32, &widen.f32};
    case Dtype::Val::float64:
      return {&stream.f64, &widen.f64};
    case Dtype::Val::float16:
      return {&stream.f16, &widen.f16};
    case Dtype::Val::bfloat16:
      return {&stream.bf16, &widen.bf16};
    default:
      return {nullptr, nullptr};
  }
}

bool are_few(int64_t rows, const GemmKernels& kernels, const GemmOperand& wide) {
  bool loses_pairs = kernels.unit > 1 && wide.depth_stride != 1;
  return rows <= (loses_pairs ? kMaxLineRows : kMaxRows);
}

class Skinny : FewRows {
 public:
  Skinny(const Choice& kernels, const Gemm& g, bool transposed)
      : FewRows(g, transposed), kernels_(kernels), g_(g), transposed_(transposed) {}

  void run() {
    int64_t lane = kernels_.widen->sum_size;
    // Full vectors may be written past the end of the last row.
    Scratch x(rows_ * g_.k * lane + 64);
    for (int64_t r = 0; r < rows_; ++r) widen_row(r, x.as<char>() + r * g_.k * lane);
    int64_t block = std::min(count_, kColumnBlock);
    int64_t parts = depth_parts(block);
    Scratch sums(parts * rows_ * block * lane);
    for (int64_t j = 0; j < count_; j += block) {
      int64_t here = std::min(block, count_ - j);
      if (parts == 1) {
        multiply(x.as<char>(), sums.as<char>(), j, here);
      } else {
        multiply_parts(x.as<char>(), sums.as<char>(), j, here, parts);
      }
    }
  }

 private:
  void widen_row(int64_t r, char* to) const {
    const GemmKernels& widen = *kernels_.widen;
    constexpr int64_t kPart = 1 << 20;
    for (int64_t k = 0; k < g_.k; k += kPart) {
      int here = static_cast<int>(std::min(kPart, g_.k - k));
      int64_t at = r * thin_.width_stride + k * thin_.depth_stride;
      const void* from = static_cast<const char*>(thin_.data) + at * widen.source_size;
      if (thin_.depth_stride == 1) {
        widen.pack_lines(to + k * widen.sum_size, here, &from, here, 1);
      } else {
        widen.pack_strided(to + k * widen.sum_size, 1, from, 0, thin_.depth_stride, 1, here);
      }
    }
  }

  // Into how many parts to cut the depth: more than one where columns cannot feed the threads of
  // most machines, and where lines are read, so that each thread reads whole ones. The number of
  // threads has no say, so that sums are the same for any.
  int64_t depth_parts(int64_t columns) const {
    if (columns * g_.k < kParallelWork) return 1;
    if (wide_.depth_stride != 1 && rows_ <= kMostLineRows) {
      return std::clamp<int64_t>(g_.k / kLineDepth, 1, kMostLineParts);
    }
    if (columns >= kManyColumns) return 1;
    return std::clamp<int64_t>(g_.k / kDepthGrain, 1, kMostParts);
  }

  // Threads take columns, few enough that many threads get some: memory is the limit, and one core
  // has a small part of its rate.
  void multiply(const char* x, char* sums, int64_t j, int64_t count) const {
    int64_t lane = kernels_.widen->sum_size;
    int64_t unit = wide_.depth_stride == 1 ? kDotColumns : kLineColumns;
    int64_t grain = std::max<int64_t>(kRangeWork / (g_.k * unit * ((rows_ + 3) / 4)), 1);
    parallel_for((count + unit - 1) / unit, grain, [&](int64_t begin, int64_t end) {
      begin *= unit;
      end = std::min(end * unit, count);
      stream(x, 0, g_.k, j + begin, end - begin, sums + begin * lane, count);
      finish(sums + begin * lane, count, j + begin, end - begin);
    });
  }

  void multiply_parts(const char* x, char* sums, int64_t j, int64_t count, int64_t parts) const {
    int64_t part_bytes = rows_ * count * kernels_.widen->sum_size;
    int64_t lane = kernels_.widen->sum_size;
    int64_t strips = (count + kStripColumns - 1) / kStripColumns;
    parallel_for(parts * strips, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t part = i / strips, col = i % strips * kStripColumns;
        int64_t first = part * g_.k / parts, last = (part + 1) * g_.k / parts;
        stream(x, first, last - first, j + col, std::min(kStripColumns, count - col),
               sums + part * part_bytes + col * lane, count);
      }
    });
    int64_t grain = std::max<int64_t>(kFoldWork / (rows_ * parts), 1);
    parallel_for(count, grain, [&](int64_t begin, int64_t end) {
      for (int64_t r = 0; r < rows_; ++r) {
        kernels_.stream->fold(sums + (r * count + begin) * lane, rows_ * count, parts, end - begin);
      }
      finish(sums + begin * lane, count, j + begin, end - begin);
    });
  }

  void stream(const char* x, int64_t k, int64_t depth, int64_t j, int64_t count, char* sums,
              int64_t sums_stride) const {
    int64_t at = j * wide_.width_stride + k * wide_.depth_stride;
    SkinnyProduct p = {};
    p.x = x + k * kernels_.widen->sum_size;
    p.x_stride = g_.k;
    p.rows = static_cast<int>(rows_);
    p.w = static_cast<const char*>(wide_.data) + at * kernels_.widen->source_size;
    p.w_stride = wide_.depth_stride == 1 ? wide_.width_stride : wide_.depth_stride;
    p.depth = depth;
    p.count = count;
    p.sums = sums;
    p.sums_stride = sums_stride;
    (wide_.depth_stride == 1 ? kernels_.stream->dots : kernels_.stream->lines)(p);
  }

  // Writes columns from j on, and does with them what follows the product.
  void finish(const char* sums, int64_t sums_stride, int64_t j, int64_t count) const {
    TileWrite tile = {};
    tile.sums = sums;
    tile.sums_stride = sums_stride;
    tile.rows = rows_;
    tile.cols = count;
    int64_t itemsize = kernels_.widen->source_size;
    int64_t out_col = transposed_ ? g_.out_row_stride : g_.out_col_stride;
    int64_t c_col = transposed_ ? g_.c_row_stride : g_.c_col_stride;
    tile.out = static_cast<char*>(g_.out) + j * out_col * itemsize;
    tile.row_stride = transposed_ ? g_.out_col_stride : g_.out_row_stride;
    tile.col_stride = out_col;
    if (g_.c) tile.c = static_cast<const char*>(g_.c) + j * c_col * itemsize;
    tile.c_row_stride = transposed_ ? g_.c_col_stride : g_.c_row_stride;
    tile.c_col_stride = c_col;
    tile.alpha = g_.alpha;
    tile.beta = g_.beta;
    kernels_.widen->write(tile);
    if (!g_.work) return;
    g_.work->run(tile.out, g_.out_row_stride, transposed_ ? count : rows_,
                 transposed_ ? rows_ : count);
  }

  const Choice& kernels_;
  const Gemm& g_;
  bool transposed_;
};

}  // namespace

bool skinny_gemm(const GemmKernels& blocked, const Gemm& g) {
  if (g.a.source || g.b.source || g.out_row_offsets) return false;
  Choice kernels = choose(g.dtype);
  if (!kernels.stream) return false;
  bool few_rows = are_few(g.m, blocked, g.b) && streams(g.b);
  bool few_columns = are_few(g.n, blocked, g.a) && streams(g.a);
  if (!few_rows && !few_columns) return false;
  bool transposed = !few_rows || (few_columns && g.n < g.m);
  Skinny(kernels, g, transposed).run();
  return true;
}

}  // namespace mlx::core::cpu
