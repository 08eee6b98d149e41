// The reduction driver: walks any layout, brings values to tiles where needed, spreads the work
// over threads and hands finished totals to a callback.
#pragma once

#include <vector>

#include "mlx/array.h"
#include "mlx/backend/cpu/reduce_kernels.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/core/function_ref.h"

namespace mlx::core::cpu {

/** Receives `count` totals; total i belongs to output element `out + i * out_stride`. */
using StoreTotals =
    FunctionRef<void(const void* totals, int64_t count, int64_t out, int64_t out_stride)>;

/**
 * Reduces `axes` (sorted) of `in`, which has elements, with `kernel`. `load` brings storage to the
 * kernel's type of `compute_size` bytes a value; `direct` tells that storage already is that type.
 * `ordered` kernels see positions, so their columns may not be folded.
 */
struct ReduceJob {
  const ReduceKernel& kernel;
  TileCopy load;
  bool direct;
  int64_t compute_size;
  bool ordered;

  void run(const array& in, const std::vector<int>& axes, StoreTotals store) const;
};

}  // namespace mlx::core::cpu
