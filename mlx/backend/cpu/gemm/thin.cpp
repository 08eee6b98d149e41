// Products by tiles with at most some tens of rows on one side: the other side, a matrix of weights
// above all, is read once, from where it lies. A thread takes a strip of it, packs a block of the
// strip into its cache, multiplies that by all rows, and goes on along the depth. The blocks follow
// from the shapes, so that sums are the same for any number of threads.
#include <algorithm>
#include <array>

#include "mlx/backend/cpu/gemm/blocked.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/runtime/amx.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kFewestAlong = 5, kFewestAcross = 12, kMostRows = 64;
constexpr int64_t kLeastWeights = 1 << 18;  // elements of the other side
constexpr int64_t kPanel = 32;              // rows of a panel of either side
constexpr int64_t kStripPanels = 8;
constexpr int64_t kBlockDepth = 256;
constexpr int64_t kLines = 32;  // read together where lines run along the width
constexpr int64_t kCacheLine = 64;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

class Thin : FewRows {
 public:
  Thin(const GemmKernels& kernels, const Gemm& g, bool swapped)
      : FewRows(g, swapped),
        kernels_(kernels),
        g_(g),
        swapped_(swapped),
        along_depth_(wide_.depth_stride == 1),
        thin_panels_(ceil_div(rows_, kPanel)),
        thin_panel_bytes_(packed_bytes(g.k)) {}

  void run() {
    Scratch packed(thin_panels_ * thin_panel_bytes_);
    thin_packed_ = packed.as<char>();
    pack_thin();
    int64_t panels = ceil_div(count_, kPanel);
    int64_t each = std::clamp<int64_t>(panels / (4 * num_threads()), 1, kStripPanels);
    parallel_for(ceil_div(panels, each), 1, [&](int64_t begin, int64_t end) {
      AmxTiles tiles;
      Scratch block(kStripPanels * packed_bytes(kBlockDepth));
      Scratch sums(kStripPanels * thin_panels_ * kSumsBytes);
      for (int64_t i = begin; i < end; ++i) {
        int64_t first = i * each;
        run_strip(first, std::min(each, panels - first), block.as<char>(), sums.as<char>());
      }
    });
  }

 private:
  static constexpr int64_t kSumsBytes = kPanel * kPanel * sizeof(float);

  // The wide side is the left operand where its rows are whole: those are packed by copying.
  const GemmKernels& wide_kernels() const { return along_depth_ ? *kernels_.left : kernels_; }
  const GemmKernels& thin_kernels() const { return along_depth_ ? kernels_ : *kernels_.left; }
  int64_t packed_bytes(int64_t depth) const {
    return ceil_div(depth, kernels_.unit) * kPanel * kernels_.packed_size;
  }
  static int width_of(int64_t rows) { return rows > kPanel / 2 ? kPanel : kPanel / 2; }

  void pack(const GemmKernels& packers, const GemmOperand& operand, char* panel, int64_t begin,
            int64_t count, int64_t k, int64_t depth) const {
    int64_t at = begin * operand.width_stride + k * operand.depth_stride;
    pack_panel(packers, panel, width_of(count),
               static_cast<const char*>(operand.data) + at * packers.source_size,
               operand.width_stride, operand.depth_stride, static_cast<int>(count), depth);
  }

  void pack_thin() const {
    int64_t blocks = ceil_div(g_.k, kBlockDepth);
    parallel_for(blocks, 4, [&](int64_t begin, int64_t end) {
      int64_t k = begin * kBlockDepth, depth = std::min(end * kBlockDepth, g_.k) - k;
      for (int64_t p = 0; p < thin_panels_; ++p) {
        pack(thin_kernels(), thin_, thin_panel(p, k), p * kPanel, rows_of(p), k, depth);
      }
    });
  }
  int64_t rows_of(int64_t thin_panel) const {
    return std::min(kPanel, rows_ - thin_panel * kPanel);
  }
  char* thin_panel(int64_t p, int64_t k) const {
    return thin_packed_ + p * thin_panel_bytes_ +
           k / kernels_.unit * width_of(rows_of(p)) * kernels_.packed_size;
  }

  void run_strip(int64_t first, int64_t panels, char* block, char* sums) const {
    for (int64_t k = 0; k < g_.k; k += kBlockDepth) {
      int64_t depth = std::min(kBlockDepth, g_.k - k);
      pack_strip(first, panels, block, k, depth);
      int64_t steps = ceil_div(depth, kernels_.unit);
      for (int64_t i = 0; i < panels; ++i) {
        const char* wide = block + i * packed_bytes(kBlockDepth);
        for (int64_t p = 0; p < thin_panels_; ++p) {
          const char* thin = thin_panel(p, k);
          int64_t a_rows = along_depth_ ? count_of(first + i) : rows_of(p);
          int64_t b_cols = along_depth_ ? rows_of(p) : count_of(first + i);
          int64_t vectors = b_cols > kernels_.lanes ? 2 : 1;
          kernels_.micro[(vectors - 1) * kernels_.rows + a_rows - 1](
              steps, along_depth_ ? wide : thin, along_depth_ ? thin : wide,
              sums + (i * thin_panels_ + p) * kSumsBytes, kPanel, k > 0);
        }
      }
    }
    for (int64_t i = 0; i < panels; ++i) {
      for (int64_t p = 0; p < thin_panels_; ++p) {
        write(first + i, p, sums + (i * thin_panels_ + p) * kSumsBytes);
      }
    }
    work_on(first * kPanel, std::min(panels * kPanel, count_ - first * kPanel));
  }
  int64_t count_of(int64_t wide_panel) const {
    return std::min(kPanel, count_ - wide_panel * kPanel);
  }

  void pack_strip(int64_t first, int64_t panels, char* block, int64_t k, int64_t depth) const {
    int64_t step = along_depth_ ? depth : kLines;
    for (int64_t at = 0; at < depth; at += step) {
      int64_t here = std::min(step, depth - at);
      for (int64_t i = 0; i < panels; ++i) {
        int64_t count = count_of(first + i);
        char* to = block + i * packed_bytes(kBlockDepth) +
                   at / kernels_.unit * width_of(count) * kernels_.packed_size;
        if (along_depth_) ask_for_rows((first + i + 1) * kPanel, k, here);
        pack(wide_kernels(), wide_, to, (first + i) * kPanel, count, k + at, here);
      }
      if (!along_depth_) ask_for_lines(first * kPanel, panels * kPanel, k + at + step);
    }
  }

  void ask_for_rows(int64_t row, int64_t k, int64_t depth) const {
    int64_t end = std::min(row + kPanel, count_);
    for (; row < end; ++row) {
      int64_t at = (row * wide_.width_stride + k) * kernels_.source_size;
      ask(at, depth * kernels_.source_size);
    }
  }
  void ask_for_lines(int64_t col, int64_t cols, int64_t k) const {
    int64_t end = std::min(k + kLines, g_.k), count = std::min(cols, count_ - col);
    for (; k < end; ++k) {
      ask((k * wide_.depth_stride + col) * kernels_.source_size, count * kernels_.source_size);
    }
  }
  void ask(int64_t at, int64_t bytes) const {
    auto from = static_cast<const char*>(wide_.data) + at;
    for (int64_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(from + i, 0, 2);
  }

  // A tile of sums has a row for each of the left operand.
  void write(int64_t wide_panel, int64_t thin_panel, const char* sums) const {
    bool turned = along_depth_ != swapped_;  // rows of sums are columns of the output
    int64_t wide = wide_panel * kPanel, thin = thin_panel * kPanel;
    int64_t row = swapped_ ? wide : thin, col = swapped_ ? thin : wide;
    TileWrite tile = {};
    tile.sums = sums;
    tile.sums_stride = kPanel;
    tile.rows = along_depth_ ? count_of(wide_panel) : rows_of(thin_panel);
    tile.cols = along_depth_ ? rows_of(thin_panel) : count_of(wide_panel);
    tile.out = static_cast<char*>(g_.out) +
               (row * g_.out_row_stride + col * g_.out_col_stride) * kernels_.source_size;
    tile.row_stride = turned ? g_.out_col_stride : g_.out_row_stride;
    tile.col_stride = turned ? g_.out_row_stride : g_.out_col_stride;
    if (g_.c) {
      tile.c = static_cast<const char*>(g_.c) +
               (row * g_.c_row_stride + col * g_.c_col_stride) * kernels_.source_size;
      tile.c_row_stride = turned ? g_.c_col_stride : g_.c_row_stride;
      tile.c_col_stride = turned ? g_.c_row_stride : g_.c_col_stride;
    }
    tile.alpha = g_.alpha;
    tile.beta = g_.beta;
    kernels_.write(tile);
  }

  void work_on(int64_t first, int64_t count) const {
    if (!g_.work) return;
    int64_t at = first * (swapped_ ? g_.out_row_stride : g_.out_col_stride);
    g_.work->run(static_cast<const char*>(g_.out) + at * kernels_.source_size, g_.out_row_stride,
                 swapped_ ? count : rows_, swapped_ ? rows_ : count);
  }

  const GemmKernels& kernels_;
  const Gemm& g_;
  bool swapped_;
  bool along_depth_;  // the wide operand lies in rows along the depth
  int64_t thin_panels_, thin_panel_bytes_;
  char* thin_packed_ = nullptr;
};

bool suits(int64_t rows, int64_t count, int64_t depth, const GemmOperand& wide) {
  int64_t fewest = wide.depth_stride == 1 ? kFewestAlong : kFewestAcross;
  return rows >= fewest && rows <= kMostRows && rows < count && count * depth >= kLeastWeights &&
         streams(wide);
}

}  // namespace

bool thin_gemm(const GemmKernels& kernels, const Gemm& g) {
  if (!kernels.tiles || g.a.source || g.b.source || g.out_row_offsets) return false;
  if (suits(g.m, g.n, g.k, g.b)) {
    Thin(kernels, g, false).run();
  } else if (suits(g.n, g.m, g.k, g.a)) {
    Thin(kernels, g, true).run();
  } else {
    return false;
  }
  return true;
}

}  // namespace mlx::core::cpu
