// The reduction driver: walks any layout, brings values to tiles where needed, spreads the work
// over threads and hands finished totals to a callback.
#pragma once

#include <vector>

#include "mlx/array.h"
#include "mlx/backend/cpu/program.h"
#include "mlx/backend/cpu/reduce_kernels.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/core/function_ref.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

/** Receives `count` totals; total i belongs to output element `out + i * out_stride`. */
using StoreTotals =
    FunctionRef<void(const void* totals, int64_t count, int64_t out, int64_t out_stride)>;

/** What is reduced: values in memory, or those that a program computes in row-major order. */
struct ReduceInput {
  Dtype dtype;
  Shape shape;
  Strides strides;
  const char* data = nullptr;
  const ProgramSource* program = nullptr;

  explicit ReduceInput(const array& in)
      : dtype(in.dtype()), shape(in.shape()), strides(in.strides()), data(in.data<char>()) {}
  ReduceInput(const ProgramSource& source, const Shape& shape, Dtype dtype)
      : dtype(dtype), shape(shape), strides(row_contiguous_strides(shape)), program(&source) {}
};

/**
 * Reduces axes of an input that has elements with `kernel`. `load` brings the input's dtype to the
 * kernel's type of `compute_size` bytes a value; `direct` tells that they are the same. `ordered`
 * kernels see positions, so their columns may not be folded.
 */
struct ReduceJob {
  const ReduceKernel& kernel;
  TileCopy load;
  bool direct;
  int64_t compute_size;
  bool ordered;

  /** `axes` are sorted. */
  void run(const ReduceInput& in, const std::vector<int>& axes, StoreTotals store) const;
};

}  // namespace mlx::core::cpu
