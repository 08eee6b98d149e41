// Which kernel multiplies with a quantised matrix, as what it is called, and how many blocks it
// takes. Nothing of a shape is compiled in.
#pragma once

#include <cstdint>
#include <string>

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/primitives/quantized.h"

namespace mlx::core::cuda {

/** Products of `rows` rows with one of `matrices` each. */
struct QuantizedShape {
  Dtype dtype;
  QuantizedFormat format;
  int64_t products, rows, n, k, matrices;
  bool picked;  // by indices that are known when they run
};

struct QuantizedDevice {
  int major, multiprocessors;
};

struct QuantizedPlan {
  enum Way { dense, direct, sorted };
  enum Kind { row, rows, tiles };
  Way way;  // by the matrix as numbers, by the order of products, or by that of matrices
  Kind kind = rows;
  int size = 0;                    // of the kernel, as below
  int most_rows = 0, columns = 0;  // rows of x, and of codes, of a block
  int threads = 0;
  size_t shared_bytes = 0;
  int resident = 2;  // blocks of a multiprocessor, about
};

QuantizedPlan plan_quantized(const QuantizedShape& shape, const QuantizedDevice& device);

/** The kernel of a plan that is not dense. */
KernelCall quantized_call(const QuantizedPlan& plan, const QuantizedFormat& format, Dtype dtype);

/** The kernels for one row of x by so many warps, for 8 or 16 rows (a third of that in float32),
 * for 64 or 128, and the others. */
KernelCall quantized_row_call(const QuantizedFormat& format, Dtype dtype, int size);
KernelCall quantized_rows_call(const QuantizedFormat& format, Dtype dtype, int size);
KernelCall quantized_tiles_call(const QuantizedFormat& format, Dtype dtype, int size);
KernelCall quantized_unpack_call(const QuantizedFormat& format, Dtype result, Dtype scales);
KernelCall quantized_pack_call(const QuantizedFormat& format, Dtype dtype);
KernelCall quantized_sort_call();

/** Most matrices that rows are sorted by. */
inline constexpr int64_t most_sorted_matrices = 4000;

}  // namespace mlx::core::cuda
