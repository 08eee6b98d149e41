// A value goes if every reader is a program that can make it again; what it is made of is then read
// there already, or broadcast and so small.
#include "mlx/graph/passes/recompute.h"

#include <algorithm>

#include "mlx/backend/backend.h"
#include "mlx/primitives.h"

namespace mlx::core::detail {

namespace {

constexpr size_t most_instructions = 16;  // to make one value again
constexpr size_t longest_program = 64;
constexpr size_t widest_type = 4;  // arithmetic on wider ones takes longer than reading them

using Nodes = std::vector<uint32_t>;

class Recomputer {
 public:
  Recomputer(const Walk& walk, StepGraph graph)
      : walk_(walk), graph_(std::move(graph)), step_of_(steps_of_nodes(walk, graph_)) {
    readers_.resize(walk.nodes.size());
    for (uint32_t s = 0; s < graph_.size(); s++) {
      graph_[s].for_each_node([&](uint32_t i) { note_reads(i, s); });
    }
  }

  StepGraph run() {
    for (uint32_t s = 0; s < graph_.size(); s++) {
      if (!is_program(graph_[s]) || !wanted(graph_[s])) continue;
      for (uint32_t i : Nodes(graph_[s].prologue)) consider(i);
    }
    return std::move(graph_);
  }

 private:
  const array& out(uint32_t i) const { return *walk_.nodes[i].handle; }

  bool is_program(const GraphStep& step) const {
    return !step.has_root() && step.generators.empty();
  }

  bool wanted(const GraphStep& step) const {
    return step_rules(out(step.prologue[0]).primitive().device()).recomputes_values();
  }

  void note_reads(uint32_t i, uint32_t s) {
    for (size_t k = 0; k < walk_.input_count(i); k++) {
      uint32_t producer = walk_.index_of(walk_.input(i, k));
      if (producer == Walk::none || step_of_[producer] == s) continue;
      Nodes& readers = readers_[producer];
      if (readers.empty() || readers.back() != s) readers.push_back(s);
    }
  }

  void consider(uint32_t i) {
    if (walk_.nodes[i].needed() || readers_[i].empty()) return;
    Nodes chain = chain_of(i);
    if (chain.size() > most_instructions) return;
    for (uint32_t s : readers_[i]) {
      if (!can_make(chain, s)) return;
    }
    for (uint32_t s : readers_[i]) add_to(graph_[s].recomputed, chain);
    add_to(graph_[step_of_[i]].unstored, {i});
  }

  /** The nodes of its step that a value is made by, in order. */
  Nodes chain_of(uint32_t i) const {
    Nodes chain{i};
    for (size_t next = 0; next < chain.size() && chain.size() <= most_instructions; next++) {
      uint32_t node = chain[next];
      for (size_t k = 0; k < walk_.input_count(node); k++) {
        uint32_t producer = walk_.index_of(walk_.input(node, k));
        bool inside = producer != Walk::none && step_of_[producer] == step_of_[i];
        if (inside && std::find(chain.begin(), chain.end(), producer) == chain.end()) {
          chain.push_back(producer);
        }
      }
    }
    std::sort(chain.begin(), chain.end());
    return chain;
  }

  bool can_make(const Nodes& chain, uint32_t s) const {
    const GraphStep& step = graph_[s];
    if (!is_program(step) || step.stream(walk_) != walk_.nodes[chain[0]].stream ||
        out(step.prologue[0]).shape() != out(chain[0]).shape() ||
        step.prologue.size() + step.recomputed.size() + chain.size() > longest_program) {
      return false;
    }
    for (uint32_t node : chain) {
      if (out(node).itemsize() > widest_type) return false;
      for (size_t k = 0; k < walk_.input_count(node); k++) {
        const array& in = walk_.input(node, k);
        bool made = std::binary_search(chain.begin(), chain.end(), walk_.index_of(in));
        if (!made && in.shape() == out(node).shape() && !reads(step, in)) return false;
      }
    }
    return true;
  }

  bool reads(const GraphStep& step, const array& a) const {
    for (uint32_t i : step.prologue) {
      for (size_t k = 0; k < walk_.input_count(i); k++) {
        if (walk_.input(i, k).id() == a.id()) return true;
      }
    }
    return false;
  }

  static void add_to(Nodes& nodes, const Nodes& more) {
    nodes.insert(nodes.end(), more.begin(), more.end());
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  }

  const Walk& walk_;
  StepGraph graph_;
  std::vector<uint32_t> step_of_;
  std::vector<Nodes> readers_;  // of each node: the other steps that read it
};

}  // namespace

StepGraph recompute_values(const Walk& walk, StepGraph graph) {
  return graph.size() < 2 ? std::move(graph) : Recomputer(walk, std::move(graph)).run();
}

}  // namespace mlx::core::detail
