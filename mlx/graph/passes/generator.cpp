// Which random words may disappear into the program that reads them.
#include "mlx/graph/passes/generator.h"

#include <unordered_map>

#include "mlx/backend/backend.h"
#include "mlx/primitives.h"

namespace mlx::core::detail {

namespace {

/** The words that `step` alone reads, of its own shape. */
std::vector<uint32_t> words_of(const Walk& walk, const GraphStep& step) {
  std::unordered_map<uint32_t, uint32_t> readings;
  std::vector<uint32_t> found;
  for (uint32_t i : step.prologue) {
    for (size_t k = 0; k < walk.input_count(i); k++) {
      uint32_t producer = walk.index_of(walk.input(i, k));
      if (producer == Walk::none) continue;
      const Node& words = walk.nodes[producer];
      if (words.generator && !words.needed() && words.stream == walk.nodes[i].stream &&
          words.handle->shape() == walk.nodes[i].handle->shape() &&
          ++readings[producer] == words.uses) {
        found.push_back(producer);
      }
    }
  }
  return found;
}

}  // namespace

StepGraph absorb_generators(const Walk& walk, StepGraph graph) {
  auto step_of = steps_of_nodes(walk, graph);
  std::vector<bool> gone(graph.size(), false);
  for (auto& step : graph) {
    if (step.has_root() ||
        !step_rules(walk.streams[step.stream(walk)].device).makes_words_in_programs()) {
      continue;
    }
    step.generators = words_of(walk, step);
    for (uint32_t words : step.generators) gone[step_of[words]] = true;
  }
  return without(std::move(graph), gone);
}

}  // namespace mlx::core::detail
