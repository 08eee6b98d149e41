// Nodes get a level such that an edge keeps the level if its two ends may run in one tile loop, and
// raises it otherwise. Nodes of one level that are joined by edges then form groups which nothing
// outside can depend on and feed back into.
#include "mlx/graph/passes/fuse.h"

#include <algorithm>
#include <numeric>

#include "mlx/core/errors.h"
#include "mlx/primitives/elementwise.h"

namespace mlx::core::detail {

namespace {

// Many streams through memory defeat the prefetchers, and long programs outgrow the cache; neither
// matters for arrays that are small.
size_t max_instructions(const array& a) { return a.size() <= Walk::small_array ? 4096 : 256; }
size_t max_inputs(const array& a) { return a.size() <= Walk::small_array ? 4096 : 48; }

/** Nodes of one step. */
using Group = std::vector<uint32_t>;

class Fuser {
 public:
  explicit Fuser(const Walk& walk) : walk_(walk), nodes_(walk.nodes), level_(nodes_.size(), 0) {}

  std::vector<Group> run() {
    rise();
    sink();
    join();
    return ordered(split());
  }

 private:
  const array& out(uint32_t i) const { return *nodes_[i].handle; }

  bool may_join(uint32_t producer, uint32_t user) const {
    auto* a = nodes_[producer].elementwise;
    auto* b = nodes_[user].elementwise;
    return a && b && nodes_[producer].stream == nodes_[user].stream &&
           out(producer).shape() == out(user).shape();
  }

  template <typename F>
  void for_each_producer(uint32_t user, F&& f) const {
    for (size_t k = 0; k < walk_.input_count(user); k++) {
      if (uint32_t p = walk_.index_of(walk_.input(user, k)); p != Walk::none) {
        f(p);
      }
    }
  }

  // As low as the producers allow.
  void rise() {
    for (uint32_t i = 0; i < nodes_.size(); i++) {
      for_each_producer(i, [&](uint32_t p) {
        level_[i] = std::max(level_[i], level_[p] + (may_join(p, i) ? 0 : 1));
      });
    }
  }

  // A node whose users are all later moves up to the first of them, if it can run with that one:
  // it then needs no memory of its own.
  void sink() {
    std::vector<uint32_t> highest(nodes_.size(), UINT32_MAX);
    std::vector<bool> meets_user(nodes_.size(), false);
    for (uint32_t i = nodes_.size(); i-- > 0;) {
      if (nodes_[i].elementwise && meets_user[i] && highest[i] != UINT32_MAX) {
        level_[i] = highest[i];
      }
      for_each_producer(i, [&](uint32_t p) {
        bool joins = may_join(p, i);
        uint32_t bound = level_[i] - (joins ? 0 : 1);
        if (bound < highest[p]) {
          highest[p] = bound;
          meets_user[p] = joins;
        } else if (bound == highest[p]) {
          meets_user[p] = meets_user[p] || joins;
        }
      });
    }
  }

  uint32_t find(uint32_t i) {
    while (parent_[i] != i) {
      i = parent_[i] = parent_[parent_[i]];
    }
    return i;
  }

  void join() {
    parent_.resize(nodes_.size());
    std::iota(parent_.begin(), parent_.end(), 0u);
    for (uint32_t i = 0; i < nodes_.size(); i++) {
      for_each_producer(i, [&](uint32_t p) {
        if (level_[p] == level_[i] && may_join(p, i)) {
          parent_[find(p)] = find(i);
        }
      });
    }
  }

  // Joined nodes in the order of the walk, cut where a program would grow too large.
  std::vector<Group> split() {
    std::vector<Group> groups;
    std::vector<uint32_t> open(nodes_.size(), Walk::none);
    std::vector<size_t> arguments;
    group_of_.resize(nodes_.size());
    for (uint32_t i = 0; i < nodes_.size(); i++) {
      uint32_t& current = open[find(i)];
      size_t outside = walk_.input_count(i);
      for_each_producer(i, [&](uint32_t p) { outside -= group_of_[p] == current ? 1 : 0; });
      if (current == Walk::none || groups[current].size() >= max_instructions(out(i)) ||
          arguments[current] + outside > max_inputs(out(i))) {
        current = groups.size();
        groups.emplace_back();
        arguments.push_back(0);
      }
      arguments[current] += outside;
      group_of_[i] = current;
      groups[current].push_back(i);
    }
    return groups;
  }

  std::vector<std::vector<uint32_t>> dependencies(const std::vector<Group>& groups) const {
    std::vector<std::vector<uint32_t>> needs(groups.size());
    for (uint32_t g = 0; g < groups.size(); g++) {
      for (uint32_t i : groups[g]) {
        for_each_producer(i, [&](uint32_t p) {
          if (group_of_[p] != g) {
            needs[g].push_back(group_of_[p]);
          }
        });
      }
    }
    return needs;
  }

  // Depth first over groups: what was made last is used next, so little memory is held at a time.
  std::vector<Group> ordered(std::vector<Group> groups) {
    struct Frame {
      uint32_t group;
      size_t next;
    };
    auto needs = dependencies(groups);
    std::vector<Group> result;
    std::vector<bool> seen(groups.size(), false);
    std::vector<Frame> stack;
    auto enter = [&](uint32_t g) {
      if (!seen[g]) {
        seen[g] = true;
        stack.push_back({g, 0});
      }
    };
    for (uint32_t i = 0; i < nodes_.size(); i++) {
      if (nodes_[i].requested) {
        enter(group_of_[i]);
      }
      while (!stack.empty()) {
        auto& [g, next] = stack.back();
        if (next < needs[g].size()) {
          enter(needs[g][next++]);
        } else {
          result.push_back(std::move(groups[g]));
          stack.pop_back();
        }
      }
    }
    return result;
  }

  const Walk& walk_;
  const std::vector<Node>& nodes_;
  std::vector<uint32_t> level_;
  std::vector<uint32_t> parent_;
  std::vector<uint32_t> group_of_;
};

}  // namespace

StepGraph separate_steps(const Walk& walk) {
  StepGraph graph(walk.nodes.size());
  for (uint32_t i = 0; i < walk.nodes.size(); i++) {
    if (walk.nodes[i].elementwise) {
      graph[i].prologue = {i};
    } else {
      graph[i].root = i;
    }
  }
  return graph;
}

StepGraph fuse(const Walk& walk, StepGraph graph) {
  if (walk.nodes.size() < 2) {
    return graph;
  }
  StepGraph fused;
  for (auto& group : Fuser(walk).run()) {
    fused.emplace_back();
    if (walk.nodes[group[0]].elementwise) {
      fused.back().prologue = std::move(group);
    } else {
      fused.back().root = group[0];
    }
  }
  return fused;
}

}  // namespace mlx::core::detail
