// The blocked product. Slabs of B (columns x depth) are packed by all threads together; tasks, each
// a range of row panels times a range of column panels, pack their rows of A into a block that
// stays in the L2 cache and run the micro kernels with a panel of B in the L1 cache.
#include "mlx/backend/cpu/gemm/blocked.h"

#include <algorithm>
#include <array>

#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kPanelBytes = 40 << 10;   // a panel of B: most of an L1 cache
constexpr int64_t kBlockBytes = 256 << 10;  // a task's rows of A: part of an L2 cache
constexpr int64_t kSlabBytes = 8 << 20;     // packed B
constexpr int64_t kSumsBytes = 8 << 20;     // sums kept outside the output
constexpr int64_t kMaxCols = 4096;
constexpr int64_t kFewRows = 128;
constexpr int64_t kThreadSlabBytes = 512 << 10;
constexpr int64_t kThreadCols = 512;
constexpr int64_t kPanelGroup = 16;  // panels of B that are packed together
constexpr int64_t kLineGroup = 8;    // lines of B that are read together
constexpr int kMaxWidth = 64;
constexpr int kMaxTileBytes = 16 * kMaxWidth * 8;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// The part of the output that one pass over a slab of B computes.
struct Slab {
  int64_t row, rows;
  int64_t col, cols;
  int64_t first_block, blocks;
};

class Blocked {
 public:
  Blocked(const GemmKernels& kernels, const Gemm& product);
  void run();

 private:
  void pack_b(const Slab& slab, char* packed) const;
  void pack_panels(const Slab& slab, int64_t block, int64_t begin, int64_t end, char* packed) const;
  void run_slab(const Slab& slab, const char* packed_b, char* sums) const;
  void run_task(const Slab& slab, const char* packed_b, char* sums, int64_t sums_stride,
                int64_t panel_begin, int64_t panel_end, int64_t col_begin, int64_t col_end) const;
  void run_tile(const Slab& slab, int64_t block, const char* a, const char* b, int64_t row,
                int64_t col, char* sums, int64_t sums_stride) const;
  void write(const void* sums, int64_t sums_stride, int64_t row, int64_t col, int64_t rows,
             int64_t cols, bool add_to_output) const;
  int64_t depth_of(int64_t block) const {
    return std::min(block_depth_, g_.k - block * block_depth_);
  }
  int64_t steps_of(int64_t block) const { return ceil_div(depth_of(block), kernels_.unit); }

  const GemmKernels& kernels_;
  const Gemm& g_;
  bool direct_;          // kernels add into the output itself
  int64_t width_;        // of panels of B
  int64_t panel_rows_;   // of panels of A
  int64_t block_depth_;  // of the panels
  int64_t blocks_;       // along the depth
  int64_t b_panel_bytes_;
};

Blocked::Blocked(const GemmKernels& kernels, const Gemm& product) : kernels_(kernels), g_(product) {
  direct_ = kernels.direct && g_.out_col_stride == 1 && !g_.out_row_offsets && g_.alpha == 1;
  width_ = 2 * kernels.lanes;
  panel_rows_ = ceil_div(g_.m, ceil_div(g_.m, kernels.rows));
  int64_t most = kPanelBytes / (width_ * kernels.packed_size) * kernels.unit;
  int64_t whole = std::max(16, kernels.unit);
  block_depth_ = round_up(ceil_div(g_.k, ceil_div(g_.k, most)), whole);
  blocks_ = ceil_div(g_.k, block_depth_);
  b_panel_bytes_ = ceil_div(block_depth_, kernels.unit) * width_ * kernels.packed_size;
}

void Blocked::run() {
  int64_t block_col_bytes = b_panel_bytes_ / width_;
  // With few rows a slab is soon done with: it must not leave the L2 caches meanwhile.
  int64_t threads = num_threads();
  bool few_rows = g_.m <= kFewRows;
  int64_t slab_bytes = few_rows ? std::min(kSlabBytes, threads * kThreadSlabBytes) : kSlabBytes;
  int64_t most_cols = few_rows ? std::min(kMaxCols, threads * kThreadCols) : kMaxCols;
  int64_t cols = std::min(round_up(g_.n, width_), most_cols);
  int64_t blocks = std::clamp<int64_t>(slab_bytes / (cols * block_col_bytes), 1, blocks_);
  int64_t rows = g_.m;
  Slab slab = {};
  int64_t sums_bytes = 0;
  if (!direct_ && blocks < blocks_) {
    // The sums cannot wait in the output between slabs: take fewer columns, or keep them aside.
    int64_t fitting = kSlabBytes / (blocks_ * block_col_bytes) / width_ * width_;
    if (fitting >= std::min(cols, 4 * width_)) {
      cols = std::min(cols, fitting);
      blocks = blocks_;
    } else {
      cols = std::min<int64_t>(cols, 512);
      blocks = std::clamp<int64_t>(kSlabBytes / (cols * block_col_bytes), 1, blocks_);
      int64_t most = kSumsBytes / (cols * kernels_.sum_size);
      rows = std::min(rows, round_up(most, panel_rows_));
      sums_bytes = rows * cols * kernels_.sum_size;
    }
  }
  Scratch packed(cols / width_ * blocks * b_panel_bytes_);
  Scratch sums(sums_bytes);
  for (slab.col = 0; slab.col < g_.n; slab.col += cols) {
    slab.cols = std::min(cols, g_.n - slab.col);
    for (slab.row = 0; slab.row < g_.m; slab.row += rows) {
      slab.rows = std::min(rows, g_.m - slab.row);
      for (slab.first_block = 0; slab.first_block < blocks_; slab.first_block += blocks) {
        slab.blocks = std::min(blocks, blocks_ - slab.first_block);
        pack_b(slab, packed.as<char>());
        run_slab(slab, packed.as<char>(), sums_bytes ? sums.as<char>() : nullptr);
      }
    }
  }
}

void pack_operand(const GemmKernels& kernels, const GemmOperand& operand, void* panel,
                  int panel_width, int64_t begin, int count, int64_t depth_begin, int64_t depth) {
  if (operand.source) {
    operand.source->pack(kernels, panel, panel_width, begin, count, depth_begin, depth);
    return;
  }
  int64_t offset = begin * operand.width_stride + depth_begin * operand.depth_stride;
  pack_panel(kernels, panel, panel_width,
             static_cast<const char*>(operand.data) + offset * kernels.source_size,
             operand.width_stride, operand.depth_stride, count, depth);
}

void Blocked::pack_b(const Slab& slab, char* packed) const {
  int64_t panels = ceil_div(slab.cols, width_);
  int64_t even_share = ceil_div(panels * slab.blocks, 2 * num_threads());
  int64_t group = std::min(kPanelGroup, even_share);
  int64_t groups = ceil_div(panels, group);
  int64_t group_work = group * width_ * block_depth_ * 16;  // an entry costs some products
  int64_t grain = std::max<int64_t>(kParallelWork / group_work, 1);
  parallel_for(groups * slab.blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t block = i / groups, panel = i % groups * group;
      pack_panels(slab, slab.first_block + block, panel, std::min(panel + group, panels),
                  packed + block * panels * b_panel_bytes_);
    }
  });
}

// Panels [begin, end) of one block. Where lines run across the panels, a few of them are taken
// through all panels at a time, so that memory is read in long pieces.
void Blocked::pack_panels(const Slab& slab, int64_t block, int64_t begin, int64_t end,
                          char* packed) const {
  int64_t depth = depth_of(block);
  bool lines = !g_.b.source && g_.b.width_stride == 1 && g_.b.depth_stride != 1;
  int64_t step = lines ? kLineGroup : depth;
  for (int64_t k = 0; k < depth; k += step) {
    for (int64_t panel = begin; panel < end; ++panel) {
      int64_t col = panel * width_;
      int count = static_cast<int>(std::min(width_, slab.cols - col));
      int width = static_cast<int>(count > kernels_.lanes ? width_ : kernels_.lanes);
      char* to = packed + panel * b_panel_bytes_ + k / kernels_.unit * width * kernels_.packed_size;
      pack_operand(kernels_, g_.b, to, width, slab.col + col, count, block * block_depth_ + k,
                   std::min(step, depth - k));
    }
  }
}

void Blocked::run_slab(const Slab& slab, const char* packed_b, char* sums) const {
  int64_t row_panels = ceil_div(slab.rows, panel_rows_);
  int64_t col_panels = ceil_div(slab.cols, width_);
  int64_t a_panel_bytes = b_panel_bytes_ / width_ * panel_rows_;
  int64_t row_tasks = ceil_div(row_panels, std::max<int64_t>(kBlockBytes / a_panel_bytes, 1));
  int64_t col_tasks = 1;
  int64_t threads = num_threads();
  double work = static_cast<double>(slab.rows) * static_cast<double>(slab.cols) *
                static_cast<double>(slab.blocks * block_depth_);
  if (threads > 1 && work > kParallelWork) {
    int64_t wanted = 2 * threads;
    if (row_panels >= 2 * wanted) {
      row_tasks = std::min(round_up(std::max(row_tasks, wanted), threads), row_panels);
    } else {
      // Few rows: split the columns too, though every part packs the same rows.
      row_tasks = std::min(row_tasks, row_panels);
      col_tasks = std::clamp<int64_t>(ceil_div(wanted, row_tasks), 1, col_panels);
    }
  }
  auto part = [](int64_t i, int64_t parts, int64_t n) { return i * n / parts; };
  int64_t sums_stride = sums ? col_panels * width_ : 0;
  auto range = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t r = i / col_tasks, c = i % col_tasks;
      run_task(slab, packed_b, sums, sums_stride, part(r, row_tasks, row_panels),
               part(r + 1, row_tasks, row_panels), part(c, col_tasks, col_panels),
               part(c + 1, col_tasks, col_panels));
    }
  };
  if (work > kParallelWork) {
    parallel_for(row_tasks * col_tasks, 1, range);
  } else {
    range(0, row_tasks * col_tasks);
  }
}

// Rows of panels [panel_begin, panel_end) times columns of panels [col_begin, col_end).
void Blocked::run_task(const Slab& slab, const char* packed_b, char* sums, int64_t sums_stride,
                       int64_t panel_begin, int64_t panel_end, int64_t col_begin,
                       int64_t col_end) const {
  int64_t col_panels = ceil_div(slab.cols, width_);
  int64_t a_panel_bytes = b_panel_bytes_ / width_ * panel_rows_;
  int64_t a_bytes = (panel_end - panel_begin) * a_panel_bytes + 64;
  bool own_sums = !direct_ && !sums && slab.blocks > 1;
  int64_t own_stride = (col_end - col_begin) * width_;
  int64_t own_rows = (panel_end - panel_begin) * panel_rows_;
  Scratch packed_a(a_bytes + (own_sums ? own_rows * own_stride * kernels_.sum_size + 64 : 0));
  char* a = packed_a.as<char>();
  if (own_sums) {
    sums_stride = own_stride;
    sums = a + round_up(a_bytes, 64) -
           (panel_begin * panel_rows_ * own_stride + col_begin * width_) * kernels_.sum_size;
  }
  for (int64_t block = slab.first_block; block < slab.first_block + slab.blocks; ++block) {
    for (int64_t p = panel_begin; p < panel_end; ++p) {
      int count = static_cast<int>(std::min(panel_rows_, slab.rows - p * panel_rows_));
      pack_operand(kernels_, g_.a, a + (p - panel_begin) * a_panel_bytes, count,
                   slab.row + p * panel_rows_, count, block * block_depth_, depth_of(block));
    }
    const char* b = packed_b + (block - slab.first_block) * col_panels * b_panel_bytes_;
    for (int64_t c = col_begin; c < col_end; ++c) {
      for (int64_t p = panel_begin; p < panel_end; ++p) {
        run_tile(slab, block, a + (p - panel_begin) * a_panel_bytes, b + c * b_panel_bytes_,
                 p * panel_rows_, c * width_, sums, sums_stride);
      }
    }
  }
}

// One micro tile at (row, col) of the slab, one block of the depth.
void Blocked::run_tile(const Slab& slab, int64_t block, const char* a, const char* b, int64_t row,
                       int64_t col, char* sums, int64_t sums_stride) const {
  int64_t rows = std::min(panel_rows_, slab.rows - row);
  int64_t cols = std::min(width_, slab.cols - col);
  int64_t vectors = cols > kernels_.lanes ? 2 : 1;
  MicroKernel micro = kernels_.micro[(vectors - 1) * kernels_.rows + rows - 1];
  bool first = block == 0, last = block == blocks_ - 1;
  int64_t steps = steps_of(block);
  alignas(64) char tile[kMaxTileBytes];
  if (direct_ && cols == vectors * kernels_.lanes && !(first && g_.c)) {
    int64_t at = (slab.row + row) * g_.out_row_stride + slab.col + col;
    char* out = static_cast<char*>(g_.out) + at * kernels_.source_size;
    micro(steps, a, b, out, g_.out_row_stride, !first);
  } else if (direct_ || !sums) {
    micro(steps, a, b, tile, width_, false);
    write(tile, width_, slab.row + row, slab.col + col, rows, cols, !first);
  } else {
    char* kept = sums + (row * sums_stride + col) * kernels_.sum_size;
    micro(steps, a, b, kept, sums_stride, !first);
    if (last) write(kept, sums_stride, slab.row + row, slab.col + col, rows, cols, false);
  }
}

void Blocked::write(const void* sums, int64_t sums_stride, int64_t row, int64_t col, int64_t rows,
                    int64_t cols, bool add_to_output) const {
  TileWrite tile = {};
  tile.sums = sums;
  tile.sums_stride = sums_stride;
  tile.rows = rows;
  tile.cols = cols;
  int64_t start = col * g_.out_col_stride + (g_.out_row_offsets ? 0 : row * g_.out_row_stride);
  tile.out = static_cast<char*>(g_.out) + start * kernels_.source_size;
  tile.row_stride = g_.out_row_stride;
  tile.col_stride = g_.out_col_stride;
  tile.row_offsets = g_.out_row_offsets ? g_.out_row_offsets + row : nullptr;
  tile.alpha = g_.alpha;
  if (add_to_output) {
    tile.c = tile.out;
    tile.c_row_stride = g_.out_row_stride;
    tile.c_col_stride = 1;
    tile.beta = 1;
  } else if (g_.c) {
    int64_t at = row * g_.c_row_stride + col * g_.c_col_stride;
    tile.c = static_cast<const char*>(g_.c) + at * kernels_.source_size;
    tile.c_row_stride = g_.c_row_stride;
    tile.c_col_stride = g_.c_col_stride;
    tile.beta = g_.beta;
  }
  kernels_.write(tile);
}

}  // namespace

void pack_panel(const GemmKernels& kernels, void* panel, int panel_width, const void* data,
                int64_t width_stride, int64_t depth_stride, int count, int64_t depth) {
  constexpr int64_t kLines = 256;
  auto base = static_cast<const char*>(data);
  if (depth_stride == 1) {
    std::array<const void*, kMaxWidth> rows;
    for (int i = 0; i < count; ++i) rows[i] = base + i * width_stride * kernels.source_size;
    kernels.pack_rows(panel, panel_width, rows.data(), count, depth);
  } else if (width_stride == 1) {
    std::array<const void*, kLines> lines;
    for (int64_t k = 0; k < depth; k += kLines) {
      int64_t here = std::min(kLines, depth - k);
      for (int64_t i = 0; i < here; ++i) {
        lines[i] = base + (k + i) * depth_stride * kernels.source_size;
      }
      auto to = static_cast<char*>(panel) + k / kernels.unit * panel_width * kernels.packed_size;
      kernels.pack_lines(to, panel_width, lines.data(), count, here);
    }
  } else {
    kernels.pack_strided(panel, panel_width, data, width_stride, depth_stride, count, depth);
  }
}

void blocked_gemm(const GemmKernels& kernels, const Gemm& product) {
  Blocked(kernels, product).run();
}

}  // namespace mlx::core::cpu
