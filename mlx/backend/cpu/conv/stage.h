// Blocks of output pixels, and what they read of an image: copied together with its padding into
// memory that stays in a cache, so that kernels read every patch without looking for edges.
#pragma once

#include <vector>

#include "mlx/backend/cpu/conv/direct_kernels.h"
#include "mlx/backend/cpu/conv/geometry.h"

namespace mlx::core::cpu {

// Output pixels of a phase, first + (0, r, c) for r < rows and c < cols, of one image.
struct ConvBlock {
  int64_t n;
  Triple first;
  int64_t rows, cols;
};

// How the output pixels of a phase are cut into blocks, all alike but for the last ones.
class ConvBlocks {
 public:
  // As many whole rows as `most_pixels` and a stage of a cache's size allow, or a part of one. More
  // and smaller blocks where there would be less than `wanted`.
  ConvBlocks(const Phase& phase, int64_t batch, int64_t pixel_bytes, int64_t most_pixels,
             int64_t wanted);

  int64_t size() const { return batch_ * phase_.count[0] * row_blocks_ * col_blocks_; }
  ConvBlock operator[](int64_t index) const;
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }

 private:
  const Phase& phase_;
  int64_t batch_;
  int64_t rows_, cols_;  // of the largest block
  int64_t row_blocks_, col_blocks_;
};

// The layout of the stage of blocks: planes, rows, columns, channels.
class ConvStage {
 public:
  ConvStage(const Image& image, const Phase& phase, int groups, const ConvBlocks& blocks,
            const DirectKernels& kernels);

  int64_t bytes() const { return extent_[0] * step_[0] * kernels_.sum_size; }

  // Whether what any block reads lies in the image as it would in the stage.
  bool is_in(const Image& image) const;

  // Copies what a block of the image reads, all groups' channels, unless the image has it so.
  // Returns where it is.
  const void* fill(const Image& image, const ConvBlock& block, void* stage) const;

  // The entries of a patch in the first group, tap by tap. Those of others lie `group_step` apart.
  const std::vector<ConvSegment>& segments() const { return segments_; }

  // Steps of the stage, in elements, from one group, output pixel or row to the next.
  int64_t group_step() const { return group_channels_; }
  int64_t pixel_step() const { return phase_.ratio[2] * step_[2]; }
  int64_t row_step() const { return phase_.ratio[1] * step_[1]; }

 private:
  void fill_row(const Image& image, const char* row, int64_t first, int64_t cols, char* to) const;

  const Phase& phase_;
  const DirectKernels& kernels_;
  Triple lowest_, span_;  // of the taps
  Triple extent_, step_;
  int64_t group_channels_;
  std::vector<ConvSegment> segments_;
};

}  // namespace mlx::core::cpu
