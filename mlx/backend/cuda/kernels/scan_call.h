// The arguments of running folds. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct ScanCall {
  int64_t rows, length, inner;   // element (row, i, column) of an array of these three axes
  int64_t chunks, chunk_length;  // parts of the length, which different blocks take
  int64_t backward, exclusive;
  const void* in;
  void* out;
  void* totals;  // of chunks, [chunk][row and column]
};

}  // namespace mlx::core::kernels
