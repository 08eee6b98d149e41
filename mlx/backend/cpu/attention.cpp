// Attention on the CPU: which way to go.
#include "mlx/primitives/attention.h"

#include "mlx/backend/cpu/attention/float32.h"
#include "mlx/backend/cpu/attention/float64.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/denormals.h"

namespace mlx::core::cpu {

namespace {

void eval_attention(Attention& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  for (array& out : outputs) out.set_data(allocator::malloc(out.nbytes()));
  if (outputs[1].size() == 0) return;
  Denormals mode(Denormals::in_products(outputs[0].dtype()));
  AttentionInputs in(primitive.spec(), inputs);
  if (in.queries.dtype() == float64) return attend_float64(primitive.spec(), in, outputs);
  return is_few(in) ? attend_few(primitive.spec(), in, outputs)
                    : attend_blocks(primitive.spec(), in, outputs);
}

void eval_attention_backward(AttentionBackward& primitive, const std::vector<array>& inputs,
                             std::vector<array>& outputs) {
  for (array& out : outputs) out.set_data(allocator::malloc(out.nbytes()));
  Denormals mode(Denormals::in_products(outputs[0].dtype()));
  AttentionInputs in(primitive.spec(), inputs);
  auto run = in.queries.dtype() == float64 ? attend_float64_backward : attend_blocks_backward;
  run(primitive.spec(), in, primitive.mask_gradient(), outputs);
}

const Register<Attention> attention(eval_attention);
const Register<AttentionBackward> attention_backward(eval_attention_backward);

}  // namespace

}  // namespace mlx::core::cpu
