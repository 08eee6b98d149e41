// Row kernels of arithmetic, rounding and bits: real dtypes in, the same dtype out. (The float
// forms of Power and Remainder live with the functions.)
#include "mlx/backend/cpu/elementwise_rows.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

struct Arithmetic {
  template <typename Op, ElementwiseOp code, DtypeRule rule, int arity>
  static void add(RowKernel* row) {
    constexpr bool same = rule == DtypeRule::Same || rule == DtypeRule::NoBool ||
                          rule == DtypeRule::Real || rule == DtypeRule::Magnitude;
    if constexpr (same || rule == DtypeRule::Bits || rule == DtypeRule::Shift) {
      add_direct<Op, rule, arity, bool, uint8_t, uint16_t, uint32_t, uint64_t, int8_t, int16_t,
                 int32_t, int64_t>(row);
    }
    if constexpr (same && code != ElementwiseOp::Power && code != ElementwiseOp::Remainder) {
      add_direct<Op, rule, arity, float, double>(row);
      add_halves<Op, arity, false>(row);
    }
    if constexpr (code == ElementwiseOp::ToFP8) row[value_of<float>()] = unary_row<Op, float>;
    if constexpr (code == ElementwiseOp::FromFP8) row[value_of<uint8_t>()] = unary_row<Op, uint8_t>;
  }
};

}  // namespace

const ElementwiseKernels& elementwise_arithmetic() {
  static const ElementwiseKernels table = fill_table<Arithmetic>();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
