// Row kernels of the functions of real floats: rules Float and RealFloat, and the float forms of
// Power and Remainder. float and double compute directly, half types through float.
#include "mlx/backend/cpu/elementwise_rows.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

struct Math {
  template <typename Op, ElementwiseOp code, DtypeRule rule, int arity>
  static void add(RowKernel* row) {
    if constexpr (rule == DtypeRule::Float || rule == DtypeRule::RealFloat ||
                  code == ElementwiseOp::Power || code == ElementwiseOp::Remainder) {
      add_direct<Op, rule, arity, float, double>(row);
      add_halves<Op, arity, false>(row);
    }
  }
};

}  // namespace

const ElementwiseKernels& elementwise_math() {
  static const ElementwiseKernels table = fill_table<Math>();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
