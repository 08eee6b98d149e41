// Which programs may run behind a node. Since they alone read its result, nothing that they read
// can depend on it in another way, so the joined step runs where the program would have; where the
// node has further results, it runs where the node would have.
#include "mlx/graph/passes/epilogue.h"

#include "mlx/backend/backend.h"
#include "mlx/graph/program_builder.h"
#include "mlx/primitives.h"

namespace mlx::core::detail {

namespace {

/** How often the nodes of a step read the first result of `root`, or none if they read others. */
uint32_t readings_of(const Walk& walk, const GraphStep& step, uint32_t root) {
  uint32_t readings = 0;
  for (uint32_t i : step.prologue) {
    for (size_t k = 0; k < walk.input_count(i); k++) {
      const array& in = walk.input(i, k);
      if (walk.index_of(in) != root) continue;
      if (in.sibling_position() != 0) return Walk::none;
      readings++;
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
  const array& made = walk.first_result(root);
  bool alone = made.siblings().empty();
  bool stored = alone ? node.needed() : node.held || made.is_tracer();
  if (node.plain || stored || node.stream != step.stream(walk) ||
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

/** Whether all that `step` reads besides the result of `root` is there before step `place`. */
bool can_run_at(const Walk& walk, const std::vector<uint32_t>& step_of, const GraphStep& step,
                uint32_t root, uint32_t place) {
  for (uint32_t i : step.prologue) {
    for (size_t k = 0; k < walk.input_count(i); k++) {
      uint32_t producer = walk.index_of(walk.input(i, k));
      bool inside = producer == Walk::none || producer == root ||
                    step_of[producer] == step_of[step.prologue[0]];
      if (!inside && step_of[producer] >= place) return false;
    }
  }
  return true;
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
    uint32_t source = step_of[root];
    // Others may read further results of the root before the program would run.
    bool stays = !walk.first_result(root).siblings().empty();
    if (stays && !can_run_at(walk, step_of, step, root, source)) continue;
    GraphStep& whole = graph[stays ? source : s];
    whole.root = root;
    whole.epilogue = std::move(step.prologue);
    step.prologue.clear();
    gone[stays ? s : source] = true;
    whole.for_each_node([&](uint32_t i) { step_of[i] = stays ? source : s; });
  }
  return without(std::move(graph), gone);
}

}  // namespace mlx::core::detail
