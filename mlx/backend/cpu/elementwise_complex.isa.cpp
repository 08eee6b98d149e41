// Row kernels of every op on complex numbers.
#include "mlx/backend/cpu/elementwise_rows.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

struct OnComplex {
  template <typename Op, ElementwiseOp code, DtypeRule rule, int arity>
  static void add(RowKernel* row) {
    if constexpr (arity < 3) add_direct<Op, rule, arity, k::Complex, k::WideComplex>(row);
  }
};

}  // namespace

const ElementwiseKernels& elementwise_complex() {
  static const ElementwiseKernels table = fill_table<OnComplex>();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
