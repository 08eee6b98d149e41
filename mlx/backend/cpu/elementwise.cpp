// Puts the parts of the kernel table together for the instruction set of this machine.
#include "mlx/backend/cpu/elementwise.h"

#include "mlx/core/errors.h"

namespace mlx::core::cpu {

namespace {

ElementwiseKernels merge_parts() {
  ElementwiseKernels all{};
  for (const auto* part : {&elementwise_math(), &elementwise_arithmetic(), &elementwise_predicate(),
                           &elementwise_complex()}) {
    for (int op = 0; op < elementwise_op_count; ++op) {
      for (int t = 0; t < Dtype::count; ++t) {
        if (part->at[op][t]) all.at[op][t] = part->at[op][t];
      }
    }
  }
  return all;
}

}  // namespace

RowKernel elementwise_kernel(ElementwiseOp op, Dtype in) {
  static const ElementwiseKernels all = merge_parts();
  RowKernel kernel = all.at[static_cast<int>(op)][static_cast<int>(in.val())];
  internal_check(kernel != nullptr, std::string("no kernel of ") + elementwise_info(op).name +
                                        " for " + dtype_name(in));
  return kernel;
}

RowKernel cast_kernel(Dtype from, Dtype to) {
  static const CastKernels& casts = elementwise_cast();
  return casts.at[static_cast<int>(from.val())][static_cast<int>(to.val())];
}

}  // namespace mlx::core::cpu
