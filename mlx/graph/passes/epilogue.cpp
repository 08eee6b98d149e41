// Which programs may run behind a node. Since they alone read its result, nothing that they read
// can depend on it in another way, so the joined step runs where the program would have.
#include "mlx/graph/passes/epilogue.h"

#include "mlx/backend/backend.h"
#include "mlx/graph/program_builder.h"
#include "mlx/primitives.h"

namespace mlx::core::detail {

namespace {

/** How often the nodes of a step read the result of `root`. */
uint32_t readings_of(const Walk& walk, const GraphStep& step, uint32_t root) {
  uint32_t readings = 0;
  for (uint32_t i : step.prologue) {
    for (size_t k = 0; k < walk.input_count(i); k++) {
      readings += walk.index_of(walk.input(i, k)) == root;
    }
  }
  return readings;
}

std::vector<bool> known_zeros(const Walk& walk, const BuiltProgram& built) {
  std::vector<bool> zeros(built.program.inputs.size(), false);
  for (size_t i = 0; i < built.inputs.size(); i++) {
    const array& in = walk.input(built.inputs[i].node, built.inputs[i].position);
    zeros[i + 1] = walk.index_of(in) == Walk::none && Walk::is_zero(in);
  }
  return zeros;
}

/** Whether `step` can run behind `root`. */
bool can_follow(const Walk& walk, const GraphStep& step, uint32_t root) {
  const Node& node = walk.nodes[root];
  const array& made = *node.handle;
  if (node.plain || node.needed() || !made.siblings().empty() || node.stream != step.stream(walk) ||
      made.shape() != walk.nodes[step.prologue[0]].handle->shape() ||
      readings_of(walk, step, root) != node.uses) {
    return false;
  }
  auto built = build_program(walk, step.prologue, root);
  return step_rules(made.primitive().device())
      .fuses_epilogue(made.primitive(), built.program, known_zeros(walk, built));
}

/** The last node that `step` can run behind, or none. */
uint32_t find_root(const Walk& walk, const StepGraph& graph, const std::vector<uint32_t>& step_of,
                   const GraphStep& step) {
  uint32_t found = Walk::none;
  for (uint32_t i : step.prologue) {
    for (size_t k = 0; k < walk.input_count(i); k++) {
      uint32_t producer = walk.index_of(walk.input(i, k));
      if (producer == Walk::none || producer == found) continue;
      const GraphStep& source = graph[step_of[producer]];
      if (source.root == producer && source.prologue.empty() && source.epilogue.empty() &&
          (found == Walk::none || step_of[producer] > step_of[found]) &&
          can_follow(walk, step, producer)) {
        found = producer;
      }
    }
  }
  return found;
}

}  // namespace

StepGraph absorb_epilogues(const Walk& walk, StepGraph graph) {
  if (graph.size() < 2) {
    return graph;
  }
  auto step_of = steps_of_nodes(walk, graph);
  std::vector<bool> gone(graph.size(), false);
  for (uint32_t s = 0; s < graph.size(); s++) {
    GraphStep& step = graph[s];
    if (step.has_root()) continue;
    uint32_t root = find_root(walk, graph, step_of, step);
    if (root == Walk::none) continue;
    step.epilogue = std::move(step.prologue);
    step.prologue.clear();
    step.root = root;
    gone[step_of[root]] = true;
    step_of[root] = s;
  }
  return without(std::move(graph), gone);
}

}  // namespace mlx::core::detail
