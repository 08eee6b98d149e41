// Looking at graphs of steps.
#include "mlx/graph/steps.h"

#include <sstream>

#include "mlx/primitives.h"

namespace mlx::core::detail {

std::vector<uint32_t> steps_of_nodes(const Walk& walk, const StepGraph& graph) {
  std::vector<uint32_t> steps(walk.nodes.size(), Walk::none);
  for (size_t s = 0; s < graph.size(); s++) {
    graph[s].for_each_node([&](uint32_t i) { steps[i] = static_cast<uint32_t>(s); });
  }
  return steps;
}

bool has_bare_root(const Walk& walk, const GraphStep& step) {
  if (!step.has_root() || !step.prologue.empty() || !step.epilogue.empty()) return false;
  const Node& node = walk.nodes[step.root];
  return !node.plain && !node.handle->is_tracer();
}

StepGraph without(StepGraph graph, const std::vector<bool>& gone) {
  StepGraph left;
  for (size_t s = 0; s < graph.size(); s++) {
    if (!gone[s]) left.push_back(std::move(graph[s]));
  }
  return left;
}

std::string to_string(const Walk& walk, const StepGraph& graph) {
  std::ostringstream os;
  auto name = [&](uint32_t i) {
    const Node& node = walk.nodes[i];
    os << " " << (node.plain ? "Plain" : node.handle->primitive().name());
  };
  for (size_t s = 0; s < graph.size(); s++) {
    const GraphStep& step = graph[s];
    os << s << ":";
    for (uint32_t i : step.generators) name(i);
    if (!step.recomputed.empty()) {
      os << " (";
      for (uint32_t i : step.recomputed) name(i);
      os << " )";
    }
    for (uint32_t i : step.prologue) name(i);
    for (auto& nodes : step.equals) {
      os << " ;";
      for (uint32_t i : nodes) name(i);
    }
    if (step.has_root()) {
      os << " |";
      name(step.root);
      for (uint32_t i : step.joined) name(i);
      os << (step.epilogue.empty() ? "" : " |");
    }
    for (uint32_t i : step.epilogue) name(i);
    os << "\n";
  }
  return os.str();
}

}  // namespace mlx::core::detail
