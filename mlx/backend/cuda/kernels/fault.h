// What a kernel reports when it meets an index outside its array, or a matrix that it cannot
// decompose. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

enum class FaultOp : int32_t {
  gather,
  take_along_axis,
  scatter,
  scatter_axis,
  gather_mm,  // of the matrices of a batch, not an axis
  gather_qmm,
  segmented_mm,    // a bound of a part of the depth
  masked_scatter,  // how many rows of values the mask asks for
  slice_update,    // where a slice starts; the extent is the last place where it can
  // The index is that of a matrix, the axis its info code, the extent the size of the batch:
  cholesky,
  solve_triangular,
  solve,
  inv,
  svd,
  eigh,
  eig
};

struct Fault {
  int32_t raised;
  FaultOp op;
  int64_t index, axis, extent;
};

#ifdef __CUDACC__
/** Reports; of several faults at once any one may remain. */
MLX_FN void report(Fault* slot, FaultOp op, int64_t index, int64_t axis, int64_t extent) {
  slot->op = op;
  slot->index = index;
  slot->axis = axis;
  slot->extent = extent;
  __threadfence_system();
  *reinterpret_cast<volatile int32_t*>(&slot->raised) = 1;
}
#else
inline const char* fault_op_name(FaultOp op) {
  constexpr const char* names[] = {"gather",
                                   "take_along_axis",
                                   "scatter",
                                   "scatter_axis",
                                   "gather_mm",
                                   "gather_qmm",
                                   "segmented_mm",
                                   "masked_scatter",
                                   "slice_update",
                                   "linalg::cholesky",
                                   "linalg::solve_triangular",
                                   "linalg::solve",
                                   "linalg::inv",
                                   "linalg::svd",
                                   "linalg::eigh",
                                   "linalg::eig"};
  return names[static_cast<int>(op)];
}
#endif

}  // namespace mlx::core::kernels
