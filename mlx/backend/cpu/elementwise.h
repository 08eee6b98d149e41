// Row kernels of the element-wise table: one function per op and dtype that runs a contiguous row.
// Layout, tiles and threads are the program interpreter's business, not theirs.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"
#include "mlx/dtype.h"
#include "mlx/optable/elementwise.h"

namespace mlx::core::cpu {

/** Computes n elements. Arguments past the op's arity are ignored. `out` may be one of the inputs
 *  (exactly, and of the same size of element), but must not overlap one otherwise. */
using RowKernel = void (*)(void* out, const void* a, const void* b, const void* c, int64_t n);

/** The kernel of `op` (not Cast) for inputs of dtype `in`; an internal error if there is none. */
RowKernel elementwise_kernel(ElementwiseOp op, Dtype in);

/** The kernel that converts rows of `from` to `to`; the same dtype copies. */
RowKernel cast_kernel(Dtype from, Dtype to);

/** One part of the table, [op][dtype]; null where another part or nobody has the kernel. */
struct ElementwiseKernels {
  RowKernel at[elementwise_op_count][Dtype::count];
};
struct CastKernels {
  RowKernel at[Dtype::count][Dtype::count];
};

MLX_ISA_TABLE(ElementwiseKernels, elementwise_math)        // functions of real floats
MLX_ISA_TABLE(ElementwiseKernels, elementwise_arithmetic)  // the rest without a bool result
MLX_ISA_TABLE(ElementwiseKernels, elementwise_predicate)   // bool results, Select
MLX_ISA_TABLE(ElementwiseKernels, elementwise_complex)     // everything on complex64
MLX_ISA_TABLE(CastKernels, elementwise_cast)

}  // namespace mlx::core::cpu
