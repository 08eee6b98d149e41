// The gated delta rule on the CPU: threads take rows of the states through all steps.
#include "mlx/primitives/gated_delta.h"

#include <algorithm>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/gated_delta_kernels.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/denormals.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t block_rows = 16;  // which share the reads of a step's query and key
constexpr int64_t grain_elements = 1 << 14;

void eval_gated_delta(GatedDelta&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array &out = outputs[0], &state = outputs[1];
  out.set_data(allocator::malloc(out.nbytes()));
  state.set_data(allocator::malloc(state.nbytes()));
  copy(inputs[5], state);
  std::vector<array> rows;
  for (const auto& input : inputs) rows.push_back(contiguous(input));
  const array &query = rows[0], &value = rows[2], &gate = rows[3];
  int64_t steps = query.shape(1), key_heads = query.shape(2), width = query.shape(3);
  int64_t heads = value.shape(2), depth = value.shape(3);
  int64_t gates = gate.ndim() == 4 ? width : 1;
  int64_t blocks = (depth + block_rows - 1) / block_rows;
  int64_t work = std::max<int64_t>(1, block_rows * width * steps);
  Denormals mode(Denormals::in_products(value.dtype()));
  parallel_for(value.shape(0) * heads * blocks, std::max<int64_t>(1, grain_elements / work),
               [&](int64_t begin, int64_t end) {
                 for (int64_t task = begin; task < end; task++) {
                   int64_t first = task % blocks * block_rows, head = task / blocks % heads;
                   int64_t sequence = task / blocks / heads;
                   int64_t at_key =
                       (sequence * steps * key_heads + head * key_heads / heads) * width;
                   int64_t at_head = sequence * steps * heads + head;
                   int64_t at_value = at_head * depth + first;
                   GatedDeltaRows part{
                       query.data<float>() + at_key,
                       rows[1].data<float>() + at_key,
                       value.data<float>() + at_value,
                       gate.data<float>() + at_head * gates,
                       rows[4].data<float>() + at_head,
                       rows.size() == 7 ? rows[6].data<bool>() + sequence * steps : nullptr,
                       state.data<float>() + ((sequence * heads + head) * depth + first) * width,
                       out.data<float>() + at_value,
                       std::min(block_rows, depth - first),
                       width,
                       steps,
                       key_heads * width,
                       heads * depth,
                       heads * gates,
                       heads,
                       gate.ndim() == 4};
                   gated_delta_table().run(part);
                 }
               });
}

const Register<GatedDelta> gated_delta(eval_gated_delta);

}  // namespace

}  // namespace mlx::core::cpu
