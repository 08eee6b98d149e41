// A row of output pixels, and which taps reach the image from it: for kernels that go over the
// image where it lies, and take the pixels at its edges one by one.
#pragma once

#include <vector>

#include "mlx/backend/cpu/conv/geometry.h"

namespace mlx::core::cpu {

struct PixelRange {
  int64_t lo, hi;
};

// Rows (n, d, h) of a phase, in order.
struct RowPosition {
  int64_t n, d, h;
};

RowPosition row_position(const Phase& phase, int64_t index);
int64_t rows_of(const Phase& phase, int64_t batch);

// A tap that reaches the image from a row, for pixels of a range.
struct LiveTap {
  int64_t offset;  // for q = 0, in elements of the image; may lie outside of it
  int64_t tap;
  int64_t d, h;  // the row of the image that it reads
  PixelRange range;
};

struct LiveRow {
  std::vector<LiveTap> taps;
  PixelRange all;  // the pixels that all of them serve

  LiveRow(const Image& image, const Phase& phase, const RowPosition& row);
};

}  // namespace mlx::core::cpu
