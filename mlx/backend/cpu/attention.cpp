// Attention on the CPU: which way to go.
#include "mlx/primitives/attention.h"

#include "mlx/backend/cpu/attention/float32.h"
#include "mlx/backend/cpu/attention/float64.h"

namespace mlx::core {

void Attention::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  for (array& out : outputs) out.set_data(allocator::malloc(out.nbytes()));
  if (outputs[1].size() == 0) return;
  AttentionInputs in(spec_, inputs);
  if (in.queries.dtype() == float64) return cpu::attend_float64(spec_, in, outputs);
  return cpu::is_few(in) ? cpu::attend_few(spec_, in, outputs)
                         : cpu::attend_blocks(spec_, in, outputs);
}

void AttentionBackward::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  for (array& out : outputs) out.set_data(allocator::malloc(out.nbytes()));
  AttentionInputs in(spec_, inputs);
  auto run =
      in.queries.dtype() == float64 ? cpu::attend_float64_backward : cpu::attend_blocks_backward;
  run(spec_, in, mask_gradient_, outputs);
}

}  // namespace mlx::core
