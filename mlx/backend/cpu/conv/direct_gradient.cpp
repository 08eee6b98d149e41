// The weight's derivative without a matrix of patches. Parts of the positions, cut by the shapes
// alone, have sums of their own; tasks are parts times ranges of the rows of these sums.
#include <algorithm>
#include <cstring>

#include "mlx/backend/cpu/conv/direct.h"
#include "mlx/backend/cpu/conv/stage.h"
#include "mlx/backend/cpu/gemm/blocked.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kMostPixels = 320;  // of a block: a panel of cotangents is most of an L1 cache
constexpr int64_t kPartPixels = 256;  // else folding parts takes too long
constexpr int64_t kMostParts = 32;
constexpr int64_t kPartsBytes = 16 << 20;
constexpr int64_t kTasksPerThread = 4;
constexpr int64_t kFinishGrain = 1 << 14;  // elements
constexpr int64_t kRoom = 64;              // behind packed panels, as packers write whole vectors

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Neighbouring entries of a group's patch: rows of the sums that one call of a kernel adds to.
struct Rows {
  int64_t group;
  int64_t offset;        // in the stage
  int64_t begin, count;  // of all groups' sums
};

class Gradient {
 public:
  Gradient(Dtype dtype, const Image& image, const Image& cotangent, const ConvGeometry& geometry,
           const Phase& phase, int groups, char* out)
      : tools_(direct_tools(dtype)),
        size_(tools_.kernels.sum_size),
        image_(image),
        cotangent_(cotangent),
        geometry_(geometry),
        phase_(phase),
        groups_(groups),
        out_(out),
        channels_(image.channels / groups),
        out_channels_(cotangent.channels / groups),
        width_(width_of(out_channels_)),
        panels_(ceil_div(out_channels_, width_)),
        depth_(channels_ * static_cast<int64_t>(phase.taps.size())),
        blocks_(phase, image.batch, image.channels * size_, kMostPixels, 0),
        stage_(image, phase, groups, blocks_, tools_.kernels) {
    int64_t begin = 0;
    for (int64_t group = 0; group < groups; ++group) {
      for (const ConvSegment& segment : stage_.segments()) {
        for (const Stretch& s : stretches_of(segment.length, tools_.kernels.rows)) {
          int64_t offset = group * stage_.group_step() + segment.offset + s.begin;
          rows_.push_back({group, offset, begin + s.begin, s.count});
        }
        begin += segment.length;
      }
    }
  }

  void run() const {
    int64_t pixels = phase_.pixels(image_.batch), elements = groups_ * depth_ * sums_step();
    int64_t parts = std::min(
        {pixels / kPartPixels, kMostParts, blocks_.size(), kPartsBytes / (elements * size_)});
    parts = std::max<int64_t>(parts, 1);
    Scratch sums(parts * elements * size_);
    auto rows = static_cast<int64_t>(rows_.size());
    double work = static_cast<double>(pixels) * static_cast<double>(elements);
    int64_t wanted = static_cast<int64_t>(std::clamp<double>(
        work / kParallelWork, 1, static_cast<double>(kTasksPerThread * num_threads())));
    int64_t ranges = std::clamp<int64_t>(wanted / parts, 1, rows);
    int64_t tasks = parts * ranges;
    parallel_for(tasks, tasks / std::min(wanted, tasks), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t range = i % ranges, part = i / ranges;
        run_task({part * blocks_.size() / parts, (part + 1) * blocks_.size() / parts},
                 {range * rows / ranges, (range + 1) * rows / ranges},
                 sums.as<char>() + part * elements * size_);
      }
    });
    finish(sums.as<char>(), parts, elements);
  }

 private:
  struct Range {
    int64_t begin, end;
  };

  int64_t width_of(int64_t cols) const {
    return cols > tools_.kernels.lanes ? 2 * tools_.kernels.lanes : tools_.kernels.lanes;
  }
  int64_t sums_step() const { return panels_ * width_; }

  void run_task(Range blocks, Range rows, char* sums) const {
    const Rows &first = rows_[rows.begin], &last = rows_[rows.end - 1];
    int64_t entries = last.begin + last.count - first.begin;
    std::memset(sums + first.begin * sums_step() * size_, 0, entries * sums_step() * size_);
    Scratch stage(stage_.bytes());
    Scratch panel(blocks_.rows() * blocks_.cols() * width_ * size_ + kRoom);
    for (int64_t b = blocks.begin; b < blocks.end; ++b) {
      ConvBlock block = blocks_[b];
      auto from = static_cast<const char*>(stage_.fill(image_, block, stage.data()));
      for (int64_t p = 0; p < panels_; ++p) {
        int64_t col = p * width_, cols = std::min(width_, out_channels_ - col);
        int64_t packed = -1;  // the group whose cotangents the panel has
        for (int64_t r = rows.begin; r < rows.end; ++r) {
          int64_t group = rows_[r].group;
          if (group != packed) pack(block, group * out_channels_ + col, cols, panel.as<char>());
          packed = group;
          multiply(block, rows_[r], from, panel.as<char>(), width_of(cols),
                   sums + (rows_[r].begin * sums_step() + col) * size_);
        }
      }
    }
  }

  void multiply(const ConvBlock& block, const Rows& rows, const char* stage, const char* panel,
                int64_t width, char* sums) const {
    const DirectKernels& kernels = tools_.kernels;
    kernels.products[(width > kernels.lanes ? kernels.rows : 0) + rows.count - 1](
        {stage + rows.offset * size_, stage_.pixel_step(), stage_.row_step(), panel, block.cols,
         block.rows, sums, sums_step()});
  }

  /** Channels [col, col + cols) of the cotangent at a block's pixels. */
  void pack(const ConvBlock& block, int64_t col, int64_t cols, char* panel) const {
    constexpr int64_t kLines = 64;
    const void* lines[kLines];
    int64_t step = phase_.step[2] * cotangent_.stride[2] * cotangent_.itemsize;
    auto width = static_cast<int>(width_of(cols));
    for (int64_t row = 0; row < block.rows; ++row) {
      int64_t offset = block.n * cotangent_.batch_stride + col;
      for (int i = 0; i < 3; ++i) {
        int64_t q = block.first[i] + (i == 1 ? row : 0);
        offset += (phase_.first[i] + q * phase_.step[i]) * cotangent_.stride[i];
      }
      const char* from = cotangent_.data + offset * cotangent_.itemsize;
      for (int64_t q = 0; q < block.cols; q += kLines) {
        int64_t here = std::min(kLines, block.cols - q);
        for (int64_t i = 0; i < here; ++i) lines[i] = from + (q + i) * step;
        tools_.gemm.pack_lines(panel, width, lines, static_cast<int>(cols), here);
        panel += here * width * size_;
      }
    }
  }

  /** Adds the parts up and puts the sums where the weight has them. */
  void finish(char* sums, int64_t parts, int64_t elements) const {
    int64_t kernel_elements = geometry_.kernel_size() * channels_;
    int64_t grain = std::max<int64_t>(kFinishGrain / (parts * sums_step()), 1);
    parallel_for(groups_ * depth_, grain, [&](int64_t begin, int64_t end) {
      tools_.kernels.fold(sums + begin * sums_step() * size_, elements, parts,
                          (end - begin) * sums_step());
      for (int64_t i = begin; i < end; ++i) {
        int64_t group = i / depth_, entry = i % depth_;
        int64_t position = phase_.taps[entry / channels_].position;
        int64_t at =
            group * out_channels_ * kernel_elements + position * channels_ + entry % channels_;
        TileWrite tile = {};
        tile.sums = sums + i * sums_step() * size_;
        tile.rows = 1;
        tile.cols = out_channels_;
        tile.out = out_ + at * image_.itemsize;
        tile.col_stride = kernel_elements;
        tile.alpha = 1;
        tools_.gemm.write(tile);
      }
    });
  }

  DirectTools tools_;
  int64_t size_;  // of a sum
  const Image& image_;
  const Image& cotangent_;
  const ConvGeometry& geometry_;
  const Phase& phase_;
  int groups_;
  char* out_;
  int64_t channels_, out_channels_;  // of a group
  int64_t width_, panels_;           // of a group's cotangent
  int64_t depth_;
  ConvBlocks blocks_;
  ConvStage stage_;
  std::vector<Rows> rows_;
};

}  // namespace

void direct_weight_gradient(Dtype dtype, const Image& image, const Image& cotangent,
                            const ConvGeometry& geometry, const Phase& phase, int groups,
                            char* out) {
  if (phase.taps.empty() || image.channels == 0) return;
  Gradient(dtype, image, cotangent, geometry, phase, groups, out).run();
}

}  // namespace mlx::core::cpu
