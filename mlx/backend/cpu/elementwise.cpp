// Element-wise nodes that run alone, as programs of one instruction; and the kernel table, put
// together for the instruction set of this machine.
#include "mlx/backend/cpu/elementwise.h"

#include "mlx/backend/cpu/program.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/errors.h"
#include "mlx/primitives/elementwise.h"

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

void eval_elementwise(Elementwise& primitive, const std::vector<array>& inputs,
                      std::vector<array>& outputs) {
  run_elementwise(primitive.op(), inputs, outputs);
}

const Register<Elementwise> elementwise(eval_elementwise);

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
