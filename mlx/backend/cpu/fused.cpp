// Running what planning makes of several nodes on the CPU.
#include "mlx/primitives/fused.h"

#include "mlx/backend/cpu/program.h"
#include "mlx/backend/cpu/reduce.h"

namespace mlx::core {

void Fused::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  if (has_root()) {
    cpu::run_reduce(static_cast<const Reduce&>(root()), recipe().prologue, inputs, shape(),
                    outputs[0]);
  } else {
    cpu::run_program(recipe().prologue, inputs, outputs);
  }
}

}  // namespace mlx::core
