// Which element-wise groups may disappear into a reduction.
#include "mlx/graph/passes/prologue.h"

#include <typeinfo>

#include "mlx/primitives/elementwise.h"
#include "mlx/primitives/reduce.h"

namespace mlx::core::detail {

namespace {

bool is_cpu_reduction(const Node& node) {
  auto& primitive = node.handle->primitive();
  return typeid(primitive) == typeid(Reduce) && primitive.device() == Device::cpu;
}

}  // namespace

Prologues find_prologues(const Walk& walk, const std::vector<Group>& groups) {
  Prologues found;
  found.absorbed.resize(groups.size(), false);
  if (groups.size() < 2) {
    return found;
  }
  std::vector<uint32_t> group_of(walk.nodes.size());
  for (uint32_t g = 0; g < groups.size(); g++) {
    for (uint32_t i : groups[g]) group_of[i] = g;
  }
  for (uint32_t g = 0; g < groups.size(); g++) {
    const Node& node = walk.nodes[groups[g][0]];
    if (node.elementwise || !is_cpu_reduction(node)) continue;
    const array& in = node.handle->inputs()[0];
    uint32_t producer = walk.index_of(in);
    if (producer == Walk::none || in.use_count() != 1) continue;
    const Node& made = walk.nodes[producer];
    if (!made.elementwise || made.requested ||
        made.elementwise->stream() != node.handle->primitive().stream()) {
      continue;
    }
    // Only if nothing else of the group is needed.
    auto fused = build_program(walk, groups[group_of[producer]]);
    if (fused.outputs.size() != 1) continue;
    found.absorbed[group_of[producer]] = true;
    found.of_reduction[g] = {std::move(fused.program), std::move(fused.inputs), in.shape()};
  }
  return found;
}

}  // namespace mlx::core::detail
