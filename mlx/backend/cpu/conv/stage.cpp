// Staging of images, row by row.
#include "mlx/backend/cpu/conv/stage.h"

#include <algorithm>
#include <cstring>

namespace mlx::core::cpu {

namespace {

constexpr int64_t kStageBytes = 160 << 10;  // part of an L2 cache
constexpr int64_t kFewCols = 48;            // of a part of a row
constexpr int64_t kFewPixels = 112;         // in a block that threads are given

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** The size of parts as equal as can be, none of them larger than `most`. */
int64_t even_part(int64_t n, int64_t most) { return ceil_div(n, ceil_div(n, most)); }

bool inside(int64_t i, int64_t extent) { return i >= 0 && i < extent; }

struct Reach {
  Triple lowest, span;
};

Reach reach_of(const Phase& phase) {
  Reach reach = {{0, 0, 0}, {1, 1, 1}};
  if (phase.taps.empty()) return reach;
  for (int i = 0; i < 3; ++i) {
    auto [low, high] =
        std::minmax_element(phase.taps.begin(), phase.taps.end(),
                            [i](const Tap& a, const Tap& b) { return a.at[i] < b.at[i]; });
    reach.lowest[i] = low->at[i];
    reach.span[i] = high->at[i] - low->at[i] + 1;
  }
  return reach;
}

}  // namespace

ConvBlocks::ConvBlocks(const Phase& phase, int64_t batch, int64_t pixel_bytes, int64_t most_pixels,
                       int64_t wanted)
    : phase_(phase), batch_(batch), rows_(1), cols_(phase.count[2]) {
  Reach reach = reach_of(phase);
  auto stage_bytes = [&](int64_t rows, int64_t cols) {
    return reach.span[0] * ((rows - 1) * phase.ratio[1] + reach.span[1]) *
           ((cols - 1) * phase.ratio[2] + reach.span[2]) * pixel_bytes;
  };
  while (cols_ > kFewCols && (cols_ > most_pixels || stage_bytes(1, cols_) > kStageBytes)) {
    cols_ = ceil_div(cols_, 2);
  }
  while (rows_ < phase.count[1] && (rows_ + 1) * cols_ <= most_pixels &&
         stage_bytes(rows_ + 1, cols_) <= kStageBytes) {
    ++rows_;
  }
  auto cut = [&] {
    rows_ = even_part(phase.count[1], rows_);
    row_blocks_ = ceil_div(phase.count[1], rows_);
    col_blocks_ = ceil_div(phase.count[2], cols_);
  };
  cut();
  while (size() < wanted && rows_ * cols_ >= 2 * kFewPixels) {
    int64_t& longer = rows_ > 1 ? rows_ : cols_;
    longer = ceil_div(longer, 2);
    cut();
  }
}

ConvBlock ConvBlocks::operator[](int64_t index) const {
  int64_t col = index % col_blocks_ * cols_, rest = index / col_blocks_;
  int64_t row = rest % row_blocks_ * rows_;
  rest /= row_blocks_;
  return {rest / phase_.count[0],
          {rest % phase_.count[0], row, col},
          std::min(rows_, phase_.count[1] - row),
          std::min(cols_, phase_.count[2] - col)};
}

ConvStage::ConvStage(const Image& image, const Phase& phase, int groups, const ConvBlocks& blocks,
                     const DirectKernels& kernels)
    : phase_(phase), kernels_(kernels), group_channels_(image.channels / groups) {
  Reach reach = reach_of(phase);
  lowest_ = reach.lowest;
  span_ = reach.span;
  extent_ = {span_[0], (blocks.rows() - 1) * phase.ratio[1] + span_[1],
             (blocks.cols() - 1) * phase.ratio[2] + span_[2]};
  step_[2] = image.channels;
  step_[1] = extent_[2] * step_[2];
  step_[0] = extent_[1] * step_[1];
  for (const Tap& tap : phase.taps) {
    int64_t offset = 0;
    for (int i = 0; i < 3; ++i) offset += (tap.at[i] - lowest_[i]) * step_[i];
    if (!segments_.empty() && segments_.back().offset + segments_.back().length == offset) {
      segments_.back().length += group_channels_;
    } else {
      segments_.push_back({offset, group_channels_});
    }
  }
}

// Columns [first, first + cols) of a row of the image, zeros where it has none.
void ConvStage::fill_row(const Image& image, const char* row, int64_t first, int64_t cols,
                         char* to) const {
  int64_t pixel_bytes = image.channels * kernels_.sum_size;
  int64_t begin = std::clamp<int64_t>(-first, 0, cols);
  int64_t end = std::clamp(image.extent[2] - first, begin, cols);
  std::memset(to, 0, begin * pixel_bytes);
  std::memset(to + end * pixel_bytes, 0, (cols - end) * pixel_bytes);
  const char* from = row + (first + begin) * image.stride[2] * image.itemsize;
  to += begin * pixel_bytes;
  if (image.stride[2] == image.channels) {
    kernels_.widen(from, (end - begin) * image.channels, to);
    return;
  }
  for (int64_t i = begin; i < end; ++i) {
    kernels_.widen(from, image.channels, to);
    from += image.stride[2] * image.itemsize;
    to += pixel_bytes;
  }
}

bool ConvStage::is_in(const Image& image) const {
  constexpr Triple none = {0, 0, 0}, one = {1, 1, 1};
  bool is_inside = lowest_ == none && span_ == one && phase_.ratio == one;
  for (int i = 0; i < 3; ++i) is_inside = is_inside && phase_.count[i] <= image.extent[i];
  return is_inside && extent_[1] == 1 && image.stride[2] == image.channels &&
         image.itemsize == kernels_.sum_size;
}

const void* ConvStage::fill(const Image& image, const ConvBlock& block, void* stage) const {
  if (is_in(image)) {
    const Triple& at = block.first;
    int64_t offset = block.n * image.batch_stride + at[0] * image.stride[0] +
                     at[1] * image.stride[1] + at[2] * image.stride[2];
    return image.data + offset * image.itemsize;
  }
  int64_t rows = (block.rows - 1) * phase_.ratio[1] + span_[1];
  int64_t cols = (block.cols - 1) * phase_.ratio[2] + span_[2];
  Triple first;
  for (int i = 0; i < 3; ++i) first[i] = block.first[i] * phase_.ratio[i] + lowest_[i];
  for (int64_t plane = 0; plane < span_[0]; ++plane) {
    int64_t d = first[0] + plane;
    for (int64_t r = 0; r < rows; ++r) {
      int64_t h = first[1] + r;
      char* to = static_cast<char*>(stage) + (plane * step_[0] + r * step_[1]) * kernels_.sum_size;
      if (!inside(d, image.extent[0]) || !inside(h, image.extent[1])) {
        std::memset(to, 0, cols * image.channels * kernels_.sum_size);
        continue;
      }
      int64_t offset = block.n * image.batch_stride + d * image.stride[0] + h * image.stride[1];
      fill_row(image, image.data + offset * image.itemsize, first[2], cols, to);
    }
  }
  return stage;
}

}  // namespace mlx::core::cpu
