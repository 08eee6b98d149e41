// Running what planning makes of several nodes on the CPU.
#include "mlx/primitives/fused.h"

#include "mlx/backend/common/residual_norm.h"
#include "mlx/backend/cpu/conv.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/matmul.h"
#include "mlx/backend/cpu/norm.h"
#include "mlx/backend/cpu/program.h"
#include "mlx/backend/cpu/reduce.h"
#include "mlx/backend/cpu/registry.h"

namespace mlx::core::cpu {

namespace {

/** Gives the sum memory: that of an operand which nobody else needs, if there is one. */
void allocate_sum(ResidualNorm& step) {
  for (const array* in : {&step.x, &step.residual}) {
    if (in->flags().row_contiguous && write_over(*in, step.sum)) return;
  }
  step.sum.set_data(allocator::malloc(step.sum.nbytes()));
}

void run_residual_norm(Fused& fused, const std::vector<array>& inputs,
                       std::vector<array>& outputs) {
  ResidualNorm step(fused, inputs, outputs);
  if (!step.adds_rows()) {
    std::vector<array> sums{step.sum}, results{step.out};
    run_program(fused.recipe().prologue, {step.x, step.residual}, sums);
    fused.root().eval_cpu(step.norm_inputs(), results);
    return;
  }
  allocate_sum(step);
  step.out.set_data(allocator::malloc(step.out.nbytes()));
  array x = contiguous(step.x), residual = contiguous(step.residual);
  std::vector<array> parameters;
  for (auto& p : step.parameters) parameters.push_back(contiguous(p));
  run_norm(step.spec, {x, &residual, step.spec.has_weight ? &parameters.front() : nullptr,
                       step.spec.has_bias ? &parameters.back() : nullptr, step.out, &step.sum});
}

void eval_fused(Fused& step, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Program& prologue = step.recipe().prologue;
  if (!step.has_root()) {
    run_program(prologue, inputs, outputs);
  } else if (step.recipe().has_epilogue() && typeid(step.root()) == typeid(Convolution)) {
    run_convolution(static_cast<const Convolution&>(step.root()), step.recipe().epilogue, inputs,
                    outputs[0]);
  } else if (step.recipe().has_epilogue()) {
    run_product(step.root(), step.recipe().epilogue, inputs, outputs[0]);
  } else if (is_residual_norm(step.root(), prologue)) {
    run_residual_norm(step, inputs, outputs);
  } else {
    run_reduce(static_cast<const Reduce&>(step.root()), prologue, inputs, step.shape(), outputs[0]);
  }
}

const Register<Fused> fused(eval_fused);

}  // namespace

}  // namespace mlx::core::cpu
