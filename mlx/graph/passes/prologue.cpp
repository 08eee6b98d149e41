// Which programs may run inside the step behind them. If nothing else reads the program's values
// they are never stored; otherwise the step stores them as it goes, and has to be able to run where
// the program would have.
#include "mlx/graph/passes/prologue.h"

#include <algorithm>

#include "mlx/backend/backend.h"
#include "mlx/graph/program_builder.h"
#include "mlx/primitives.h"

namespace mlx::core::detail {

namespace {

class Absorber {
 public:
  Absorber(const Walk& walk, StepGraph graph)
      : walk_(walk), graph_(std::move(graph)), step_of_(steps_of_nodes(walk, graph_)) {
    gone_.resize(graph_.size(), false);
  }

  StepGraph run() {
    for (uint32_t s = 0; s < graph_.size(); s++) {
      if (graph_[s].has_root() && graph_[s].prologue.empty()) absorb_into(s);
    }
    return without(std::move(graph_), gone_);
  }

 private:
  void absorb_into(uint32_t s) {
    uint32_t root = graph_[s].root;
    const Node& node = walk_.nodes[root];
    if (node.plain || walk_.input_count(root) == 0) return;
    uint32_t producer = walk_.index_of(walk_.input(root, 0));
    if (producer == Walk::none) return;
    uint32_t source = step_of_[producer];
    const GraphStep& candidate = graph_[source];
    if (candidate.has_root() || gone_[source] || candidate.stream(walk_) != node.stream) return;
    auto built = build_program(walk_, candidate.prologue);
    if (built.outputs.back() != producer) return;
    uint32_t readings = 1 + static_cast<uint32_t>(node.handle->siblings().size());
    const Node& made = walk_.nodes[producer];
    bool keeps = built.outputs.size() > 1 || made.needed() || made.uses != readings;
    auto& primitive = node.handle->primitive();
    if (!step_rules(primitive.device()).fuses_prologue(primitive, built.program, keeps)) return;
    if (!keeps) {
      graph_[s].prologue = std::move(graph_[source].prologue);
      gone_[source] = true;
    } else if (can_run_at(root, source)) {
      graph_[source].root = root;
      graph_[source].keeps_prologue = true;
      graph_[source].epilogue = std::move(graph_[s].epilogue);
      gone_[s] = true;
      step_of_[root] = source;
    }
  }

  /** Whether all that `root` reads besides its first input is there before step `s`. */
  bool can_run_at(uint32_t root, uint32_t s) const {
    for (size_t k = 1; k < walk_.input_count(root); k++) {
      uint32_t producer = walk_.index_of(walk_.input(root, k));
      if (producer != Walk::none && step_of_[producer] >= s) return false;
    }
    return true;
  }

  const Walk& walk_;
  StepGraph graph_;
  std::vector<uint32_t> step_of_;
  std::vector<bool> gone_;
};

}  // namespace

StepGraph absorb_prologues(const Walk& walk, StepGraph graph) {
  return graph.size() < 2 ? std::move(graph) : Absorber(walk, std::move(graph)).run();
}

}  // namespace mlx::core::detail
