// Running folds on the GPU, for Scan and for what counts by them.
#pragma once

#include "mlx/array.h"
#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/primitives/scan.h"

namespace mlx::core::cuda {

struct ScanSpec {
  ScanOp op;
  int axis;
  bool reverse, inclusive;
};

/** Scans a row-contiguous array into `out`, which has memory; it may be that of `in`. */
void scan_array(const ScanSpec& spec, const array& in, array& out, const Stream& s);

// The kernels; `width` neighbours make a pack, and rows take 32 or 256 lanes.
KernelCall row_scan_call(ScanOp op, Dtype dtype, int width, int lanes);
KernelCall row_total_call(ScanOp op, Dtype dtype, int width);
KernelCall column_scan_call(ScanOp op, Dtype dtype);
KernelCall column_total_call(ScanOp op, Dtype dtype);

}  // namespace mlx::core::cuda
