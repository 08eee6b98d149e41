// Running a fused program on the CPU.
#include "mlx/primitives/fused.h"

#include "mlx/backend/cpu/program.h"

namespace mlx::core {

void Fused::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  cpu::run_program(program_, inputs, outputs);
}

}  // namespace mlx::core
