// Programs are collected in lists by what they compute. A list is closed when it has taken as much
// as the backend asks for, so that what they read need not be held for long.
#include "mlx/graph/passes/equals.h"

#include <algorithm>

#include "mlx/backend/backend.h"
#include "mlx/graph/program_builder.h"
#include "mlx/primitives.h"

namespace mlx::core::detail {

namespace {

/** What a run counts among the runs that are joined: larger ones gain less. */
size_t weight_of(const Node& node) { return node.modest ? 1 : 4; }

class EqualPrograms {
 public:
  EqualPrograms(const Walk& walk, StepGraph graph) : walk_(walk), graph_(std::move(graph)) {
    gone_.resize(graph_.size(), false);
  }

  StepGraph run() {
    for (uint32_t s = 0; s < graph_.size(); s++) {
      if (may_join(graph_[s])) consider(s);
    }
    for (List& list : lists_) close(list);
    return without(std::move(graph_), gone_);
  }

 private:
  struct List {
    Program program;
    uint32_t stream;
    size_t most, weight = 0;
    std::vector<uint32_t> steps;
  };

  bool may_join(const GraphStep& step) const {
    return !step.has_root() && step.generators.empty() && step.recomputed.empty() &&
           step.unstored.empty() && walk_.nodes[step.prologue[0]].brief;
  }

  void consider(uint32_t s) {
    const Node& first = walk_.nodes[graph_[s].prologue[0]];
    auto built = build_program(walk_, graph_[s].prologue);
    if (is_read(graph_[s].prologue)) return;
    auto it = std::find_if(lists_.begin(), lists_.end(), [&](const List& list) {
      return list.stream == first.stream && list.program == built.program;
    });
    if (it == lists_.end()) {
      const StepRules& rules = step_rules(first.handle->primitive().device());
      size_t most = rules.joins_programs(built.program);
      if (most < 2) return;
      lists_.push_back({std::move(built.program), first.stream, most, 0, {}});
      it = lists_.end() - 1;
    }
    it->steps.push_back(s);
    it->weight += weight_of(first);
    if (it->weight >= it->most) close(*it);
  }

  /** Whether nodes outside of the step read its values: nodes that do are behind it. */
  bool is_read(const std::vector<uint32_t>& nodes) const {
    size_t within = 0, all = 0;
    for (uint32_t i : nodes) {
      all += walk_.nodes[i].uses;
      for (size_t k = 0; k < walk_.input_count(i); k++) {
        uint32_t producer = walk_.index_of(walk_.input(i, k));
        within += std::binary_search(nodes.begin(), nodes.end(), producer);
      }
    }
    return all > within;
  }

  void close(List& list) {
    for (size_t i = 0; i + 1 < list.steps.size(); i++) {
      graph_[list.steps.back()].equals.push_back(std::move(graph_[list.steps[i]].prologue));
      gone_[list.steps[i]] = true;
    }
    list.steps.clear();
    list.weight = 0;
  }

  const Walk& walk_;
  StepGraph graph_;
  std::vector<bool> gone_;
  std::vector<List> lists_;
};

}  // namespace

StepGraph join_equals(const Walk& walk, StepGraph graph) {
  return graph.size() < 2 ? graph : EqualPrograms(walk, std::move(graph)).run();
}

}  // namespace mlx::core::detail
