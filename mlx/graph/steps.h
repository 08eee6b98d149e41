// The graph between a walk and a plan: which nodes run together as one step. Each pass takes it and
// returns it with fewer, larger steps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mlx/graph/walk.h"

namespace mlx::core::detail {

/** Nodes that run as one step, by index in the walk: element-wise ones in front of at most one
 * other node and behind it. Inputs come before users, within a step and from step to step. */
struct GraphStep {
  /** Element-wise nodes: the whole step, or what the first input of `root` is made of. */
  std::vector<uint32_t> prologue;
  /** Whether the values of `prologue` in front of `root` are needed elsewhere as well. */
  bool keeps_prologue = false;
  uint32_t root = Walk::none;
  /** Further nodes that run with `root`, where nothing is in front or behind: of its sort, or a
   *  reduction of one of its operands. */
  std::vector<uint32_t> joined;
  /** Further lists of nodes that are the program of `prologue`, which is the whole step then. */
  std::vector<std::vector<uint32_t>> equals;
  /** Element-wise nodes that read the first result of `root`. */
  std::vector<uint32_t> epilogue;
  /** Random words that `prologue` makes for itself. */
  std::vector<uint32_t> generators;
  /** Nodes of other steps whose values `prologue` makes again, in order. */
  std::vector<uint32_t> recomputed;
  /** Nodes of `prologue` that other steps read, but make again. */
  std::vector<uint32_t> unstored;

  bool has_root() const { return root != Walk::none; }
  uint32_t stream(const Walk& walk) const {
    return walk.nodes[has_root() ? root : prologue.front()].stream;
  }
  /** The nodes that are this step's own. */
  template <typename F>
  void for_each_node(F&& f) const {
    for (uint32_t i : generators) f(i);
    for (uint32_t i : prologue) f(i);
    if (has_root()) f(root);
    for (uint32_t i : joined) f(i);
    for (auto& nodes : equals) {
      for (uint32_t i : nodes) f(i);
    }
    for (uint32_t i : epilogue) f(i);
  }
};

using StepGraph = std::vector<GraphStep>;

/** For each node of the walk, the number of its step. */
std::vector<uint32_t> steps_of_nodes(const Walk& walk, const StepGraph& graph);

/** Whether the step is a node that runs as it is, untraced, with nothing in front or behind. */
bool has_bare_root(const Walk& walk, const GraphStep& step);

/** The steps that are not `gone`. */
StepGraph without(StepGraph graph, const std::vector<bool>& gone);

/** A line for each step, for people: `3: Multiply Add | LayerNorm | Cast`. */
std::string to_string(const Walk& walk, const StepGraph& graph);

}  // namespace mlx::core::detail
