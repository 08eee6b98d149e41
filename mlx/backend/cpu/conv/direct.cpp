// Direct convolutions: tasks are blocks of output pixels times ranges of weight panels. A block of
// the depth of a panel stays in the L1 cache while all pixels of the task pass by.
#include "mlx/backend/cpu/conv/direct.h"

#include <algorithm>

#include "mlx/backend/cpu/conv/stage.h"
#include "mlx/backend/cpu/gemm/blocked.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/runtime/amx.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kPanelBytes = 28 << 10;  // of a panel of weights: most of an L1 cache
constexpr int64_t kMostPixels = 1024;
constexpr int64_t kTasksPerThread = 4;
constexpr int64_t kRoom = 64;  // behind packed panels, as packers write whole vectors

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

class Direct {
 public:
  explicit Direct(const DirectConv& conv)
      : c_(conv),
        tools_(direct_tools(conv.dtype)),
        depth_(conv.image.channels / conv.groups * static_cast<int64_t>(conv.phase.taps.size())),
        width_(conv.out_channels > tools_.kernels.lanes ? 2 * tools_.kernels.lanes
                                                        : tools_.kernels.lanes),
        panels_(ceil_div(conv.out_channels, width_)),
        panel_bytes_(depth_ * width_ * tools_.kernels.sum_size),
        blocks_(conv.phase, conv.image.batch,
                conv.image.channels / conv.groups * tools_.kernels.sum_size, kMostPixels,
                ceil_div(kTasksPerThread * num_threads(), conv.groups)),
        stage_(group_image(conv.image, 0, conv.groups), conv.phase, blocks_, tools_.kernels),
        depth_blocks_(cut_depth(stage_.segments(), depth_,
                                kPanelBytes / (width_ * tools_.kernels.sum_size))) {}

  void run() const {
    Scratch packed(c_.groups * panels_ * panel_bytes_ + kRoom);
    pack(packed.as<char>());
    int64_t pairs = blocks_.size() * c_.groups;
    int64_t ranges = std::clamp<int64_t>(kTasksPerThread * num_threads() / pairs, 1, panels_);
    double work = static_cast<double>(c_.phase.pixels(c_.image.batch)) *
                  static_cast<double>(c_.groups * panels_ * width_ * std::max<int64_t>(depth_, 1));
    int64_t tasks = pairs * ranges;
    int64_t grain = std::clamp<int64_t>(
        static_cast<int64_t>(static_cast<double>(tasks * kParallelWork) / work), 1, tasks);
    parallel_for(tasks, grain, [&](int64_t begin, int64_t end) {
      Scratch stage(stage_.bytes());
      int64_t staged = -1;
      for (int64_t i = begin; i < end; ++i) {
        int64_t pair = i / ranges, range = i % ranges;
        ConvBlock block = blocks_[pair / c_.groups];
        int64_t group = pair % c_.groups;
        if (pair != staged) {
          stage_.fill(group_image(c_.image, group, c_.groups), block, stage.data());
          staged = pair;
        }
        run_task(block, group, packed.as<char>(), stage.as<char>(), range * panels_ / ranges,
                 (range + 1) * panels_ / ranges);
      }
    });
  }

 private:
  void pack(char* packed) const {
    int64_t entries = width_ * std::max<int64_t>(depth_, 1);
    int64_t grain = std::max<int64_t>(kParallelWork / (16 * entries), 1);
    parallel_for(c_.groups * panels_, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        TapWeights weights = c_.weights;
        weights.data += i / panels_ * c_.group_stride * c_.image.itemsize;
        int64_t col = i % panels_ * width_, cols = std::min(width_, c_.out_channels - col);
        weights.pack(tools_.gemm, packed + i * panel_bytes_, static_cast<int>(width_of(cols)), col,
                     static_cast<int>(cols), 0, depth_);
      }
    });
  }

  /** The output at (0, row, col) of a block. */
  char* output(const ConvBlock& block, int64_t group, int64_t row, int64_t channel) const {
    const Phase& phase = c_.phase;
    int64_t pixel = block.n;
    for (int i = 0; i < 3; ++i) {
      int64_t q = block.first[i] + (i == 1 ? row : 0);
      pixel = pixel * c_.out_extent[i] + phase.first[i] + q * phase.step[i];
    }
    int64_t at = (pixel * c_.groups + group) * c_.out_channels + channel;
    return c_.out + at * c_.image.itemsize;
  }

  int64_t width_of(int64_t cols) const {
    return cols > tools_.kernels.lanes ? width_ : tools_.kernels.lanes;
  }

  int64_t out_step() const { return c_.phase.step[2] * c_.groups * c_.out_channels; }

  void run_task(const ConvBlock& block, int64_t group, const char* packed, const char* stage,
                int64_t first_panel, int64_t last_panel) const {
    for (int64_t panel = first_panel; panel < last_panel; ++panel) {
      run_panel(block, group, packed + (group * panels_ + panel) * panel_bytes_, stage,
                panel * width_);
    }
    if (!c_.work || first_panel == last_panel) return;
    int64_t col = first_panel * width_;
    for (int64_t row = 0; row < block.rows; ++row) {
      c_.work->run(output(block, group, row, col), out_step(), block.cols,
                   std::min(last_panel * width_, c_.out_channels) - col);
    }
  }

  void run_panel(const ConvBlock& block, int64_t group, const char* panel, const char* stage,
                 int64_t col) const {
    const DirectKernels& kernels = tools_.kernels;
    int64_t cols = std::min(width_, c_.out_channels - col), size = kernels.sum_size;
    int64_t width = width_of(cols);
    bool in_place = tools_.gemm.direct && cols == width;
    Scratch kept(in_place ? 0 : block.rows * block.cols * width * size);
    int64_t tiles = ceil_div(block.cols, kernels.rows);
    for (const DepthBlock& depth : depth_blocks_) {
      for (int64_t row = 0; row < block.rows; ++row) {
        char* out = in_place ? output(block, group, row, col)
                             : kept.as<char>() + row * block.cols * width * size;
        int64_t step = in_place ? out_step() : width;
        const char* from = stage + row * stage_.row_step() * size;
        for (int64_t t = 0; t < tiles; ++t) {
          int64_t begin = t * block.cols / tiles, end = (t + 1) * block.cols / tiles;
          ConvTile tile = {from + begin * stage_.pixel_step() * size,
                           stage_.pixel_step(),
                           depth.segments.data(),
                           static_cast<int64_t>(depth.segments.size()),
                           panel + depth.begin * width * size,
                           out + begin * step * size,
                           step,
                           depth.begin > 0};
          kernels.tiles[(width > kernels.lanes ? kernels.rows : 0) + end - begin - 1](tile);
        }
      }
    }
    if (!in_place) write(block, group, kept.as<char>(), width, col, cols);
  }

  void write(const ConvBlock& block, int64_t group, const char* sums, int64_t width, int64_t col,
             int64_t cols) const {
    for (int64_t row = 0; row < block.rows; ++row) {
      TileWrite tile = {};
      tile.sums = sums + row * block.cols * width * tools_.kernels.sum_size;
      tile.sums_stride = width;
      tile.rows = block.cols;
      tile.cols = cols;
      tile.out = output(block, group, row, col);
      tile.row_stride = out_step();
      tile.col_stride = 1;
      tile.alpha = 1;
      tools_.gemm.write(tile);
    }
  }

  const DirectConv& c_;
  DirectTools tools_;
  int64_t depth_;
  int64_t width_, panels_, panel_bytes_;  // of weights
  ConvBlocks blocks_;
  ConvStage stage_;
  std::vector<DepthBlock> depth_blocks_;
};

}  // namespace

bool is_direct(Dtype dtype, int64_t channels) {
  bool dots = has_amx_bf16() || has_avx512_bf16();
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
