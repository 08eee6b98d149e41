// Running what planning makes of several nodes on the CPU.
#include "mlx/primitives/fused.h"

#include "mlx/backend/cpu/program.h"
#include "mlx/backend/cpu/reduce.h"
#include "mlx/backend/cpu/registry.h"

namespace mlx::core::cpu {

namespace {

void eval_fused(Fused& step, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Program& prologue = step.recipe().prologue;
  if (step.has_root()) {
    run_reduce(static_cast<const Reduce&>(step.root()), prologue, inputs, step.shape(), outputs[0]);
  } else {
    run_program(prologue, inputs, outputs);
  }
}

const Register<Fused> fused(eval_fused);

}  // namespace

}  // namespace mlx::core::cpu
