// Direct convolutions: tasks are blocks of output pixels times ranges of weight panels. A block of
// the depth of a panel stays near while all pixels of the task pass by.
#include "mlx/backend/cpu/conv/direct.h"

#include <unistd.h>

#include <algorithm>

#include "mlx/backend/cpu/conv/stage.h"
#include "mlx/backend/cpu/gemm/blocked.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/runtime/amx.h"
#include "mlx/backend/cpu/runtime/bf16_dot.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kMostPixels = 1024;
constexpr int64_t kTasksPerThread = 4;
constexpr int64_t kUnstagedTasks = 8;  // the same where none copies what it reads
constexpr int64_t kOutputWork = 32;    // products that take as long as to write their sum
constexpr int64_t kRoom = 64;          // behind packed panels, as packers write whole vectors

// What stays near of a panel of weights: most of an L1 cache, or more where a large L2 cache has
// room for it beside the stage, which saves reading and adding to the output once more.
int64_t panel_bytes() {
  static const int64_t l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return std::clamp<int64_t>(l2 / 24, 40 << 10, 84 << 10);
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Part of the depth: its segments of the stage.
struct DepthBlock {
  int64_t begin;
  std::vector<ConvSegment> segments;
};

std::vector<DepthBlock> cut_depth(const std::vector<ConvSegment>& segments, int64_t depth,
                                  int64_t most) {
  if (depth == 0) return {{0, {}}};
  int64_t limit = ceil_div(depth, ceil_div(depth, most));
  std::vector<DepthBlock> blocks;
  int64_t begin = 0, room = 0;
  for (ConvSegment left : segments) {
    while (left.length > 0) {
      if (room == 0) {
        blocks.push_back({begin, {}});
        room = limit;
      }
      int64_t taken = std::min(left.length, room);
      blocks.back().segments.push_back({left.offset, taken});
      left = {left.offset + taken, left.length - taken};
      begin += taken;
      room -= taken;
    }
  }
  return blocks;
}

// Output channels of a group that one pass over the block's pixels computes.
struct Panel {
  int64_t group;
  int64_t col, cols;  // of the group
  int64_t width;      // of the packed weights
  const char* weights;
};

class Direct {
 public:
  explicit Direct(const DirectConv& conv)
      : c_(conv),
        tools_(direct_tools(conv.dtype)),
        size_(tools_.kernels.sum_size),
        depth_(conv.image.channels / conv.groups * static_cast<int64_t>(conv.phase.taps.size())),
        width_(width_of(conv.out_channels)),
        group_panels_(ceil_div(conv.out_channels, width_)),
        panels_(conv.groups * group_panels_),
        panel_bytes_(depth_ * width_ * size_),
        blocks_(conv.phase, conv.image.batch, conv.image.channels * size_, kMostPixels,
                kTasksPerThread * num_threads()),
        stage_(conv.image, conv.phase, conv.groups, blocks_, tools_.kernels),
        depth_blocks_(cut_depth(stage_.segments(), depth_, panel_bytes() / (width_ * size_))) {}

  void run() const {
    Scratch packed(panels_ * panel_bytes_ + kRoom);
    pack(packed.as<char>());
    int64_t tasks_per_thread = stage_.is_in(c_.image) ? kUnstagedTasks : kTasksPerThread;
    int64_t wanted = tasks_per_thread * num_threads();
    int64_t ranges = std::clamp<int64_t>(wanted / blocks_.size(), 1, panels_);
    int64_t tasks = blocks_.size() * ranges;
    double work = static_cast<double>(c_.phase.pixels(c_.image.batch)) *
                  static_cast<double>(panels_ * width_ * (depth_ + kOutputWork));
    double grain = static_cast<double>(tasks * kParallelWork) / work;
    parallel_for(tasks, static_cast<int64_t>(std::min(grain, static_cast<double>(tasks))),
                 [&](int64_t begin, int64_t end) {
                   Scratch stage(stage_.bytes());
                   const void* staged = nullptr;
                   for (int64_t i = begin; i < end; ++i) {
                     ConvBlock block = blocks_[i / ranges];
                     if (i == begin || i % ranges == 0) {
                       staged = stage_.fill(c_.image, block, stage.data());
                     }
                     run_task(block, packed.as<char>(), static_cast<const char*>(staged),
                              i % ranges * panels_ / ranges, (i % ranges + 1) * panels_ / ranges);
                   }
                 });
  }

 private:
  int64_t width_of(int64_t cols) const {
    return cols > tools_.kernels.lanes ? 2 * tools_.kernels.lanes : tools_.kernels.lanes;
  }

  Panel panel(int64_t i, const char* packed) const {
    int64_t col = i % group_panels_ * width_, cols = std::min(width_, c_.out_channels - col);
    return {i / group_panels_, col, cols, width_of(cols), packed + i * panel_bytes_};
  }

  void pack(char* packed) const {
    int64_t entries = width_ * std::max<int64_t>(depth_, 1);
    int64_t grain = std::max<int64_t>(kParallelWork / (64 * entries), 1);
    parallel_for(panels_, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        Panel p = panel(i, packed);
        TapWeights weights = c_.weights;
        weights.data += p.group * c_.group_stride * c_.image.itemsize;
        weights.pack(tools_.gemm, packed + i * panel_bytes_, static_cast<int>(p.width), p.col,
                     static_cast<int>(p.cols), 0, depth_);
      }
    });
  }

  int64_t out_channels() const { return c_.groups * c_.out_channels; }
  int64_t out_step() const { return c_.phase.step[2] * out_channels(); }

  /** The output at (0, row, 0) of a block, of a channel of all groups'. */
  char* output(const ConvBlock& block, int64_t row, int64_t channel) const {
    const Phase& phase = c_.phase;
    int64_t pixel = block.n;
    for (int i = 0; i < 3; ++i) {
      int64_t q = block.first[i] + (i == 1 ? row : 0);
      pixel = pixel * c_.out_extent[i] + phase.first[i] + q * phase.step[i];
    }
    return c_.out + (pixel * out_channels() + channel) * c_.image.itemsize;
  }

  void run_task(const ConvBlock& block, const char* packed, const char* stage, int64_t first,
                int64_t last) const {
    for (int64_t i = first; i < last; ++i) run_panel(block, panel(i, packed), stage);
    if (!c_.work || first == last) return;
    Panel begin = panel(first, packed), end = panel(last - 1, packed);
    int64_t col = begin.group * c_.out_channels + begin.col;
    int64_t cols = end.group * c_.out_channels + end.col + end.cols - col;
    bool whole_rows = block.cols == c_.out_extent[2];  // whose pixels follow each other
    int64_t together = whole_rows ? block.rows : 1;
    for (int64_t row = 0; row < block.rows; row += together) {
      c_.work->run(output(block, row, col), out_step(), together * block.cols, cols);
    }
  }

  void run_panel(const ConvBlock& block, const Panel& panel, const char* stage) const {
    const DirectKernels& kernels = tools_.kernels;
    bool in_place = tools_.gemm.direct && panel.cols == panel.width;
    Scratch kept(in_place ? 0 : block.rows * block.cols * panel.width * size_);
    stage += panel.group * stage_.group_step() * size_;
    int64_t channel = panel.group * c_.out_channels + panel.col;
    int64_t step = in_place ? out_step() : panel.width;
    int64_t tiles = ceil_div(block.cols, kernels.rows);
    auto table = kernels.tiles + (panel.width > kernels.lanes ? kernels.rows : 0);
    for (const DepthBlock& depth : depth_blocks_) {
      for (int64_t row = 0; row < block.rows; ++row) {
        char* out = in_place ? output(block, row, channel)
                             : kept.as<char>() + row * block.cols * panel.width * size_;
        const char* from = stage + row * stage_.row_step() * size_;
        for (int64_t t = 0; t < tiles; ++t) {
          int64_t begin = t * block.cols / tiles, end = (t + 1) * block.cols / tiles;
          table[end - begin - 1]({from + begin * stage_.pixel_step() * size_, stage_.pixel_step(),
                                  depth.segments.data(),
                                  static_cast<int64_t>(depth.segments.size()),
                                  panel.weights + depth.begin * panel.width * size_,
                                  out + begin * step * size_, step, depth.begin > 0});
        }
      }
    }
    if (!in_place) write(block, panel, kept.as<char>());
  }

  void write(const ConvBlock& block, const Panel& panel, const char* sums) const {
    for (int64_t row = 0; row < block.rows; ++row) {
      TileWrite tile = {};
      tile.sums = sums + row * block.cols * panel.width * size_;
      tile.sums_stride = panel.width;
      tile.rows = block.cols;
      tile.cols = panel.cols;
      tile.out = output(block, row, panel.group * c_.out_channels + panel.col);
      tile.row_stride = out_step();
      tile.col_stride = 1;
      tile.alpha = 1;
      tools_.gemm.write(tile);
    }
  }

  const DirectConv& c_;
  DirectTools tools_;
  int64_t size_;  // of a sum
  int64_t depth_;
  int64_t width_, group_panels_, panels_, panel_bytes_;  // of weights
  ConvBlocks blocks_;
  ConvStage stage_;
  std::vector<DepthBlock> depth_blocks_;
};

}  // namespace

bool is_direct(Dtype dtype, int64_t channels) {
  bool dots = has_amx_bf16() || has_fast_bf16_dot();
  if (dtype == bfloat16) return !dots || gemm_kernels(dtype).unit > channels;
  return dtype == float32 || dtype == float64 || dtype == float16;
}

Image group_image(Image image, int64_t group, int groups) {
  image.channels /= groups;
  image.data += group * image.channels * image.itemsize;
  return image;
}

DirectTools direct_tools(Dtype dtype) {
  const DirectTables& tables = direct_kernels();
  const RealGemmKernels& gemm = real_gemm_kernels();
  if (dtype == float64) return {tables.f64, gemm.f64};
  if (dtype == float16) return {tables.f16, gemm.f16};
  if (dtype == bfloat16) return {tables.bf16, gemm.bf16};
  return {tables.f32, gemm.f32};
}

std::vector<Stretch> stretches_of(int64_t n, int64_t most) {
  int64_t count = ceil_div(n, most);
  std::vector<Stretch> result;
  for (int64_t i = 0; i < count; ++i) {
    result.push_back({i * n / count, (i + 1) * n / count - i * n / count});
  }
  return result;
}

void direct_conv(const DirectConv& conv) { Direct(conv).run(); }

}  // namespace mlx::core::cpu
