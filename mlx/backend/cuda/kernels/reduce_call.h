// The arguments of reductions, before the lists of dimensions that follow them. Shared by host and
// device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

struct ReductionCall {
  int64_t outputs, length;       // results, and values for each
  int64_t chunks, chunk_length;  // parts of the length, which different blocks take
  double divisor, ddof;
  const void* in;
  void* out;
  void* totals;  // with several chunks: theirs, [chunk][output]
};

}  // namespace mlx::core::kernels
