// The blocked product. Slabs of B (columns x depth) are packed by all threads together; tasks, each
// a range of row panels times a range of column panels, have rows of A that stay in the L2 cache
// and run the micro kernels with a panel of B in the L1 cache. Where tasks share rows, A is packed
// with B, else each packs its own. Of smaller products a task packs its part of B, too.
#include "mlx/backend/cpu/gemm/blocked.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/runtime/amx.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kPanelBytes = 40 << 10;  // a panel of B: most of an L1 cache
constexpr int64_t kLeastDepth = 512;       // of panels: the output is read and written so rarely
constexpr int64_t kTileDepth = 2048;  // tiles read faster from an L2 cache than they are stored
constexpr int64_t kPlacedPanels = 4;  // a thread's of B, for which packing a large A does not pay
constexpr int64_t kPageBytes = 4096;  // parts of rows so far apart meet in few sets of a cache
constexpr int64_t kTasksPerThread = 4;
constexpr int64_t kTaskWork = 1 << 19;     // products that are worth a second thread
constexpr int64_t kFewEntries = 1 << 15;   // which take less to pack than threads to join
constexpr int64_t kMostEntries = 1 << 17;  // that are packed more than once, times the threads
constexpr int64_t kMostSharers = 8;        // of them: panels must stay in an L2 cache
constexpr int64_t kEntryWork = 32;         // products that take as long as to fetch an entry
constexpr int64_t kTileEntryWork = 512;    // the same of tiles
constexpr int64_t kSlabBytes = 8 << 20;    // packed B
constexpr int64_t kSumsBytes = 8 << 20;    // sums kept outside the output
constexpr int64_t kMaxCols = 4096;
constexpr int64_t kFewRows = 128;
constexpr int64_t kThreadSlabBytes = 512 << 10;
constexpr int64_t kThreadCols = 512;
constexpr int64_t kPanelGroup = 16;   // panels of B that are packed together
constexpr int64_t kLineGroup = 8;     // lines that are read together
constexpr int64_t kFewestLines = 32;  // that a thread takes
constexpr int kMaxWidth = 64;
constexpr int kMaxTileBytes = 16 * kMaxWidth * 8;

// A task's rows of A take half of an L2 cache.
int64_t block_bytes() {
  static const int64_t found = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return std::clamp<int64_t>(found, 512 << 10, 2 << 20) / 2;
}

// Threads share an output like a square: so many have other columns.
int64_t threads_across() { return static_cast<int64_t>(std::sqrt(num_threads())); }

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// The part of the output that one pass over a slab of B computes.
struct Slab {
  int64_t row, rows;
  int64_t col, cols;
  int64_t first_block, blocks;
};

// How a slab is cut into tasks of whole panels.
struct Grid {
  int64_t rows, cols;

  int64_t tasks() const { return rows * cols; }
};

struct Range {
  int64_t begin, end;

  int64_t size() const { return end - begin; }
};

// An operand of a slab in panels.
struct Side {
  const GemmKernels& kernels;  // whose packers fill them
  const GemmOperand& operand;
  int64_t begin, size;  // of the slab along the width
  int64_t width, unit;  // of panels
  int64_t panel_bytes;

  int64_t panels() const { return ceil_div(size, width); }
  bool lies_in_lines() const {
    return !operand.source && operand.width_stride == 1 && operand.depth_stride != 1;
  }
};

// How the packing of a block of an operand is shared: groups of panels, parts of the depth.
struct Cut {
  int64_t groups, parts;

  int64_t items() const { return groups * parts; }
};

Range part(int64_t i, int64_t parts, int64_t n) { return {i * n / parts, (i + 1) * n / parts}; }

// Where sums are kept that are no output yet: that of the slab's row and column.
struct Sums {
  char* data = nullptr;
  int64_t stride = 0;
  int64_t row = 0, col = 0;  // of the first
};

// What the tiles of a product take, by a rule of thumb: a tile of r rows and v vectors takes its
// products, or what a few sums have to wait for each other, and something for what it reads.
double time_of(const TileShape& shape, int64_t m, int64_t vectors) {
  auto tile = [](int64_t r, int64_t v) {
    return static_cast<double>(std::max<int64_t>(r * v, 8)) + 0.25 * static_cast<double>(r + v);
  };
  auto row_of_tiles = [&](int64_t r) {
    int64_t whole = vectors / shape.vectors, rest = vectors % shape.vectors;
    return static_cast<double>(whole) * tile(r, shape.vectors) + (rest ? tile(r, rest) : 0);
  };
  int64_t panels = ceil_div(m, shape.rows), rows = ceil_div(m, panels);
  int64_t whole = m / rows, rest = m % rows;
  return static_cast<double>(whole) * row_of_tiles(rows) + (rest ? row_of_tiles(rest) : 0);
}

TileShape best_shape(const GemmKernels& kernels, int64_t m, int64_t n) {
  TileShape best = {kernels.rows, 2, kernels.micro, nullptr};
  int64_t vectors = ceil_div(n, kernels.lanes);
  for (const TileShape& other : kernels.others) {
    if (other.micro && time_of(other, m, vectors) < time_of(best, m, vectors)) best = other;
  }
  return best;
}

class Blocked {
 public:
  Blocked(const GemmKernels& kernels, const Gemm& product);
  void run();

 private:
  void run_slab(const Slab& slab, const Sums& sums) const;
  void pack_slab(const Slab& slab, char* packed_a, char* packed_b) const;
  Side side_a(const Slab& slab) const;
  Side side_b(const Slab& slab) const;
  Cut cut_of(const Side& side, int64_t blocks) const;
  void pack_panels(const Side& side, int64_t block, Range panels, Range steps, char* packed) const;
  Grid grid_of(const Slab& slab) const;
  bool packs_alone(const Slab& slab, Grid grid) const;
  void run_alone(const Slab& slab, Grid grid) const;
  void take_tasks(const Slab& slab, Grid grid, int64_t part, std::atomic<int64_t>& taken) const;
  void run_task(const Slab& slab, const char* packed_a, const char* packed_b, const Sums& sums,
                Range row_panels, Range col_panels) const;
  void run_blocks(const Slab& slab, Range blocks, const char* packed_a, const char* packed_b,
                  Sums sums, Range row_panels, Range col_panels) const;
  void run_tile(const Slab& slab, int64_t block, const char* a, const char* b, int64_t row,
                int64_t col, const Sums& sums) const;
  void write(const void* sums, int64_t sums_stride, int64_t row, int64_t col, int64_t rows,
             int64_t cols, bool add_to_output) const;
  int64_t depth_of(int64_t block) const {
    return std::min(block_depth_, g_.k - block * block_depth_);
  }
  int64_t steps_of(int64_t block) const { return ceil_div(depth_of(block), kernels_.unit); }
  int64_t row_panels(const Slab& slab) const { return ceil_div(slab.rows, panel_rows_); }
  int64_t col_panels(const Slab& slab) const { return ceil_div(slab.cols, width_); }
  int64_t entry_work() const { return kernels_.tiles ? kTileEntryWork : kEntryWork; }
  // Of a loop over parts of a slab, which may not be worth a second thread.
  int64_t grain_of(const Slab& slab, int64_t parts) const {
    return work_of(slab) > kTaskWork ? 1 : parts;
  }
  double work_of(const Slab& slab) const {
    return static_cast<double>(slab.rows) * static_cast<double>(slab.cols) *
           static_cast<double>(slab.blocks * block_depth_);
  }

  const GemmKernels& kernels_;
  const Gemm& g_;
  TileShape shape_;
  bool placed_;          // A is read where it lies
  bool direct_;          // kernels add into the output itself
  int64_t width_;        // of panels of B
  int64_t panel_rows_;   // of panels of A
  int64_t block_depth_;  // of the panels
  int64_t blocks_;       // along the depth
  int64_t a_panel_bytes_, b_panel_bytes_;
};

Blocked::Blocked(const GemmKernels& kernels, const Gemm& product) : kernels_(kernels), g_(product) {
  direct_ = kernels.direct && g_.out_col_stride == 1 && !g_.out_row_offsets && g_.alpha == 1;
  shape_ = best_shape(kernels, g_.m, g_.n);
  width_ = shape_.vectors * kernels.lanes;
  panel_rows_ = round_up(ceil_div(g_.m, ceil_div(g_.m, shape_.rows)), kernels.row_unit);
  int64_t most = kPanelBytes / (width_ * kernels.packed_size) * kernels.unit;
  most = std::max(most, kernels.tiles ? kTileDepth : kernels.unit == 1 ? kLeastDepth : 0);
  int64_t whole = std::max(16, kernels.unit);
  block_depth_ = round_up(ceil_div(g_.k, ceil_div(g_.k, most)), whole);
  blocks_ = ceil_div(g_.k, block_depth_);
  placed_ = shape_.placed && !g_.a.source && g_.a.depth_stride == 1 &&
            (g_.n <= kPlacedPanels * width_ * threads_across() || blocks_ == 1 ||
             g_.a.width_stride * kernels.source_size % kPageBytes != 0);
  int64_t entry_bytes = ceil_div(block_depth_, kernels.unit) * kernels.packed_size;
  // Packers write whole vectors: past the end of a panel is room, since the next may be there
  // already.
  a_panel_bytes_ = entry_bytes * panel_rows_ + 64;
  b_panel_bytes_ = entry_bytes * width_;
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
  Sums sums;
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
      rows = round_up(std::min(rows, most), panel_rows_);
      sums.stride = cols;
    }
  }
  Scratch memory(rows * sums.stride * kernels_.sum_size);
  if (sums.stride) sums.data = memory.as<char>();
  for (slab.col = 0; slab.col < g_.n; slab.col += cols) {
    slab.cols = std::min(cols, g_.n - slab.col);
    for (slab.row = 0; slab.row < g_.m; slab.row += rows) {
      slab.rows = std::min(rows, g_.m - slab.row);
      for (slab.first_block = 0; slab.first_block < blocks_; slab.first_block += blocks) {
        slab.blocks = std::min(blocks, blocks_ - slab.first_block);
        run_slab(slab, sums);
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

Side Blocked::side_a(const Slab& slab) const {
  return {kernels_.for_left(), g_.a,          slab.row, slab.rows, panel_rows_,
          kernels_.row_unit,   a_panel_bytes_};
}

Side Blocked::side_b(const Slab& slab) const {
  return {kernels_, g_.b, slab.col, slab.cols, width_, kernels_.lanes, b_panel_bytes_};
}

// Lines are shared rather than what lies across them, so that memory is read in long pieces, but
// only where steps fill vectors: others are written a little into the next step.
Cut Blocked::cut_of(const Side& side, int64_t blocks) const {
  int64_t most = std::max<int64_t>(kPanelGroup * width_ / side.width, 1);
  int64_t panels = side.panels(), wanted = 2 * num_threads();
  if (!side.lies_in_lines() || side.unit % kernels_.lanes != 0) {
    return {ceil_div(panels, std::min(most, ceil_div(panels * blocks, wanted))), 1};
  }
  int64_t groups = ceil_div(panels, most), most_parts = ceil_div(block_depth_, kFewestLines);
  return {groups, std::clamp<int64_t>(ceil_div(wanted, groups * blocks), 1, most_parts)};
}

// Packs B and, if it is shared by tasks, A.
void Blocked::pack_slab(const Slab& slab, char* packed_a, char* packed_b) const {
  Side a = side_a(slab), b = side_b(slab);
  Cut cut_a = cut_of(a, slab.blocks), cut_b = cut_of(b, slab.blocks);
  int64_t a_items = packed_a ? cut_a.items() * slab.blocks : 0;
  int64_t b_items = cut_b.items() * slab.blocks;
  int64_t entries = b.panels() * width_ * block_depth_ / cut_b.items();
  int64_t grain = std::max<int64_t>(kParallelWork / (16 * entries), 1);  // each costs some products
  auto pack = [&](const Side& side, const Cut& cut, int64_t item, char* packed) {
    int64_t at = item / cut.items(), block = slab.first_block + at;
    Range panels = part(item % cut.groups, cut.groups, side.panels());
    Range steps = part(item / cut.groups % cut.parts, cut.parts, steps_of(block));
    packed += (at * side.panels() + panels.begin) * side.panel_bytes;
    pack_panels(side, block, panels, steps, packed);
  };
  parallel_for(b_items + a_items, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (i < b_items) {
        pack(b, cut_b, i, packed_b);
      } else {
        pack(a, cut_a, i - b_items, packed_a);
      }
    }
  });
}

// Some steps of some panels of a block.
void Blocked::pack_panels(const Side& side, int64_t block, Range panels, Range steps,
                          char* packed) const {
  const GemmKernels& kernels = side.kernels;
  int64_t start = steps.begin * kernels.unit, first = block * block_depth_ + start;
  int64_t depth = std::min(steps.end * kernels.unit, depth_of(block)) - start;
  int64_t whole = std::min(panels.end, side.size / side.width) - panels.begin;
  if (side.lies_in_lines() && kernels.pack_across && whole > 0) {
    int64_t at = side.begin + panels.begin * side.width + first * side.operand.depth_stride;
    kernels.pack_across(packed + steps.begin * side.width * kernels.packed_size,
                        static_cast<int>(side.width), side.panel_bytes, whole,
                        static_cast<const char*>(side.operand.data) + at * kernels.source_size,
                        side.operand.depth_stride, depth);
    panels.begin += whole;
    packed += whole * side.panel_bytes;
  }
  int64_t step = side.lies_in_lines() ? std::max<int64_t>(kLineGroup, kernels.unit) : depth;
  for (int64_t k = 0; k < depth; k += step) {
    for (int64_t p = panels.begin; p < panels.end; ++p) {
      int count = static_cast<int>(std::min(side.width, side.size - p * side.width));
      int width = static_cast<int>(round_up(count, side.unit));
      char* to = packed + (p - panels.begin) * side.panel_bytes +
                 (start + k) / kernels.unit * width * kernels.packed_size;
      pack_operand(kernels, side.operand, to, width, side.begin + p * side.width, count, first + k,
                   std::min(step, depth - k));
    }
  }
}

// Tasks whose rows of A stay in the L2 cache, in rounds of as equal work as there can be, where
// what a task fetches counts as well, twice if it has to be turned. Among equals few columns of
// tasks are better, since each packs its rows of A, and many where A is only read.
Grid Blocked::grid_of(const Slab& slab) const {
  int64_t rows = row_panels(slab), cols = col_panels(slab), threads = num_threads();
  int64_t kept_blocks = direct_ ? 1 : slab.blocks;
  int64_t kept = std::max<int64_t>(block_bytes() / (a_panel_bytes_ * kept_blocks), 1);
  int64_t fewest = ceil_div(rows, kept);
  int64_t wanted = std::min<int64_t>(kTasksPerThread * threads,
                                     static_cast<int64_t>(2 * work_of(slab) / kTaskWork));
  if (threads == 1 || wanted < 2) return {fewest, 1};
  Grid best = {};
  int64_t least = std::numeric_limits<int64_t>::max();
  for (int64_t r = fewest; r <= std::min(rows, std::max(wanted, fewest)); ++r) {
    for (int64_t rounds = kTasksPerThread; rounds > 0; rounds /= 2) {
      int64_t c = std::clamp<int64_t>(rounds * threads / r, 1, cols);
      int64_t tall = ceil_div(rows, r), wide = ceil_div(cols, c);
      int64_t turns = ceil_div(r * c, threads);
      int64_t height = tall * panel_rows_, width = wide * width_;
      int64_t fetched = turns * (placed_ || kernels_.tiles ? 1 : 2) * height;
      fetched += ceil_div(turns, r) * width;  // of B each part once
      int64_t time = turns * height * width + entry_work() * fetched;
      // Cores of one machine differ in speed: of few turns the last takes long.
      time += time / (4 * turns);
      if (time < least || (time == least && !placed_)) {
        least = time;
        best = {r, c};
      }
    }
  }
  return best;
}

void Blocked::run_slab(const Slab& slab, const Sums& sums) const {
  Grid grid = grid_of(slab);
  if (packs_alone(slab, grid)) {
    return run_alone(slab, grid);
  }
  int64_t rows = row_panels(slab), cols = col_panels(slab);
  int64_t b_bytes = round_up(cols * slab.blocks * b_panel_bytes_, 64);
  bool shared_a = grid.cols > 1 && !placed_;
  Scratch packed(b_bytes + (shared_a ? rows * slab.blocks * a_panel_bytes_ : 0));
  char* packed_b = packed.as<char>();
  char* packed_a = shared_a ? packed_b + b_bytes : nullptr;
  pack_slab(slab, packed_a, packed_b);
  parallel_for(grid.tasks(), grain_of(slab, grid.tasks()), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      run_task(slab, packed_a, packed_b, sums, part(i / grid.cols, grid.rows, rows),
               part(i % grid.cols, grid.cols, cols));
    }
  });
}

// Whether threads had better pack all that their tasks need than wait for what others pack, and
// fetch it out of their caches, which takes the longer the more they are: where what they pack
// beyond their share is little, by itself or beside the products.
bool Blocked::packs_alone(const Slab& slab, Grid grid) const {
  if (slab.blocks < blocks_ || g_.a.source || g_.b.source) return false;
  int64_t depth = slab.blocks * block_depth_, threads = num_threads();
  int64_t turns = ceil_div(grid.tasks(), threads);
  int64_t rows = turns * ceil_div(slab.rows, grid.rows), cols = ceil_div(slab.cols, grid.cols);
  int64_t entries = ceil_div(turns, grid.rows) * cols - slab.cols / threads;
  if (grid.cols > 1 && !placed_) entries += rows - slab.rows / threads;
  entries *= depth;
  int64_t most = kMostEntries * std::min(threads, kMostSharers);
  return entries <= kFewEntries ||
         (entries <= most && entries * 2 * kEntryWork <= rows * cols * depth);
}

// Each thread begins with another part of the columns, the one it may have in its cache from the
// product before, and helps with those of others when it is done, so that parts are packed once for
// the most part and no thread waits for a slower one.
void Blocked::run_alone(const Slab& slab, Grid grid) const {
  std::vector<std::atomic<int64_t>> taken(grid.cols);
  int64_t members = std::min<int64_t>(num_threads(), grid.tasks());
  parallel_for(members, grain_of(slab, members), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t first = thread_index() * grid.cols / members;
      for (int64_t j = 0; j < grid.cols; ++j) {
        int64_t part = (first + j) % grid.cols;
        take_tasks(slab, grid, part, taken[part]);
      }
    }
  });
}

// Tasks of one part of the columns that nobody has taken.
void Blocked::take_tasks(const Slab& slab, Grid grid, int64_t col_part,
                         std::atomic<int64_t>& taken) const {
  int64_t task = taken.fetch_add(1, std::memory_order_relaxed);
  if (task >= grid.rows) return;
  Range cols = part(col_part, grid.cols, col_panels(slab));
  Slab own = slab;
  own.col += cols.begin * width_;
  own.cols = std::min(cols.end * width_, slab.cols) - cols.begin * width_;
  Scratch packed(cols.size() * slab.blocks * b_panel_bytes_);
  for (int64_t block = 0; block < own.blocks; ++block) {
    pack_panels(side_b(own), block, {0, cols.size()}, {0, steps_of(block)},
                packed.as<char>() + block * cols.size() * b_panel_bytes_);
  }
  for (; task < grid.rows; task = taken.fetch_add(1, std::memory_order_relaxed)) {
    run_task(own, nullptr, packed.as<char>(), {}, part(task, grid.rows, row_panels(slab)),
             {0, cols.size()});
  }
}

// Sums that wait in the output, or aside, are taken further block by block, with the rows of one
// block in the cache; others column by column, so that they are few.
void Blocked::run_task(const Slab& slab, const char* packed_a, const char* packed_b,
                       const Sums& sums, Range rows, Range cols) const {
  std::optional<AmxTiles> tiles;
  if (kernels_.tiles) tiles.emplace();
  int64_t end = slab.first_block + slab.blocks;
  int64_t together = direct_ || sums.data ? 1 : slab.blocks;
  for (int64_t block = slab.first_block; block < end; block += together) {
    run_blocks(slab, {block, block + together}, packed_a, packed_b, sums, rows, cols);
  }
  if (!g_.work || end < blocks_) return;
  int64_t row = rows.begin * panel_rows_, col = cols.begin * width_;
  int64_t at = (slab.row + row) * g_.out_row_stride + slab.col + col;
  g_.work->run(static_cast<const char*>(g_.out) + at * kernels_.source_size, g_.out_row_stride,
               std::min(rows.end * panel_rows_, slab.rows) - row,
               std::min(cols.end * width_, slab.cols) - col);
}

void Blocked::run_blocks(const Slab& slab, Range blocks, const char* packed_a, const char* packed_b,
                         Sums sums, Range rows, Range cols) const {
  bool own_sums = !direct_ && !sums.data && blocks.size() > 1;
  bool packs = !packed_a && !placed_;
  Scratch own_a(!packs ? 0 : rows.size() * blocks.size() * a_panel_bytes_);
  Scratch kept(own_sums ? rows.size() * panel_rows_ * width_ * kernels_.sum_size : 0);
  auto own_panels = [&](int64_t block) {
    return own_a.as<char>() + (block - blocks.begin) * rows.size() * a_panel_bytes_;
  };
  auto panels = [&](int64_t block) -> const char* {
    if (!packed_a) return own_panels(block);
    int64_t first = (block - slab.first_block) * row_panels(slab) + rows.begin;
    return packed_a + first * a_panel_bytes_;
  };
  for (int64_t block = blocks.begin; packs && block < blocks.end; ++block) {
    pack_panels(side_a(slab), block, rows, {0, steps_of(block)}, own_panels(block));
  }
  for (int64_t c = cols.begin; c < cols.end; ++c) {
    if (own_sums) sums = {kept.as<char>(), width_, rows.begin * panel_rows_, c * width_};
    for (int64_t block = blocks.begin; block < blocks.end; ++block) {
      const char* a = placed_ ? nullptr : panels(block);
      int64_t at = (block - slab.first_block) * col_panels(slab) + c;
      const char* b = packed_b + at * b_panel_bytes_;
      for (int64_t p = rows.begin; p < rows.end; ++p) {
        run_tile(slab, block, a, b, p * panel_rows_, c * width_, sums);
        if (a) a += a_panel_bytes_;
      }
    }
  }
}

// One micro tile at (row, col) of the slab, one block of the depth.
void Blocked::run_tile(const Slab& slab, int64_t block, const char* a, const char* b, int64_t row,
                       int64_t col, const Sums& sums) const {
  int64_t rows = std::min(panel_rows_, slab.rows - row);
  int64_t cols = std::min(width_, slab.cols - col);
  int64_t vectors = ceil_div(cols, kernels_.lanes);
  bool first = block == 0, last = block == blocks_ - 1;
  int64_t steps = steps_of(block);
  alignas(64) char tile[kMaxTileBytes];  // of whole rows of vectors, or of AMX
  auto multiply = [&](char* c, int64_t ldc, bool accumulate) {
    int64_t at = shape_.index(vectors, rows);
    if (!placed_) return shape_.micro[at](steps, a, b, c, ldc, accumulate);
    int64_t first = (slab.row + row) * g_.a.width_stride + block * block_depth_;
    shape_.placed[at](steps, static_cast<const char*>(g_.a.data) + first * kernels_.source_size,
                      g_.a.width_stride, b, c, ldc, accumulate);
  };
  if (direct_ && cols == vectors * kernels_.lanes && !(first && g_.c)) {
    int64_t at = (slab.row + row) * g_.out_row_stride + slab.col + col;
    char* out = static_cast<char*>(g_.out) + at * kernels_.source_size;
    multiply(out, g_.out_row_stride, !first);
  } else if (direct_ || !sums.data) {
    multiply(tile, width_, false);
    write(tile, width_, slab.row + row, slab.col + col, rows, cols, !first);
  } else {
    int64_t at = (row - sums.row) * sums.stride + col - sums.col;
    char* kept = sums.data + at * kernels_.sum_size;
    multiply(kept, sums.stride, !first);
    if (last) write(kept, sums.stride, slab.row + row, slab.col + col, rows, cols, false);
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
