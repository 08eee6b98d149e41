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

constexpr size_t small_array = 4096;

// Many streams through memory defeat the prefetchers, and long programs outgrow the cache; neither
// matters for arrays that are small.
size_t max_instructions(const array& a) { return a.size() <= small_array ? 4096 : 256; }
size_t max_inputs(const array& a) { return a.size() <= small_array ? 4096 : 48; }

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
    return a && b && a->stream() == b->stream() && out(producer).shape() == out(user).shape();
  }

  template <typename F>
  void for_each_producer(uint32_t user, F&& f) const {
    for (auto& in : out(user).inputs()) {
      if (uint32_t p = walk_.index_of(in); p != Walk::none) {
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
      size_t outside = out(i).inputs().size();
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

std::vector<Group> fuse(const Walk& walk, bool enabled) {
  if (enabled && walk.nodes.size() > 1) {
    return Fuser(walk).run();
  }
  std::vector<Group> groups;
  for (uint32_t i = 0; i < walk.nodes.size(); i++) {
    groups.push_back({i});
  }
  return groups;
}

namespace {

// Numbers the values of one program as it grows, inputs and results alike, in the arrays' marks.
class ProgramBuilder {
 public:
  ProgramBuilder(const Walk& walk, const Group& group) : walk_(walk), group_(group) {
    static uint64_t next_id = 0;
    id_ = ++next_id;
  }

  FusedGroup run() {
    number_inputs();
    for (uint32_t i : group_) {
      add_instruction(i);
    }
    for (size_t k = 0; k < group_.size(); k++) {
      const Node& node = walk_.nodes[group_[k]];
      if (node.requested || node.handle->use_count() > uses_[k]) {
        fused_.outputs.push_back(*node.handle);
        fused_.program.outputs.push_back(node.handle->walk_mark().value);
      }
    }
    return std::move(fused_);
  }

 private:
  const array& out(uint32_t i) const { return *walk_.nodes[i].handle; }

  bool has_value(const array& a) const { return a.walk_mark().program == id_; }

  void set_value(const array& a, uint32_t value) {
    a.walk_mark().program = id_;
    a.walk_mark().value = value;
  }

  void number_inputs() {
    for (uint32_t i : group_) {
      for (auto& in : out(i).inputs()) {
        if (!has_value(in)) {
          set_value(in, fused_.inputs.size());
          fused_.program.inputs.push_back(in.dtype());
          fused_.inputs.push_back(in);
        }
      }
      set_value(out(i), 0);
    }
    uses_.assign(group_.size(), 0);
  }

  void add_instruction(uint32_t i) {
    uint16_t args[3] = {0, 0, 0};
    size_t k = 0;
    for (auto& in : out(i).inputs()) {
      args[k++] = static_cast<uint16_t>(in.walk_mark().value);
      if (uint32_t producer = walk_.index_of(in); producer != Walk::none) {
        auto it = std::lower_bound(group_.begin(), group_.end(), producer);
        if (it != group_.end() && *it == producer) {
          uses_[it - group_.begin()]++;
        }
      }
    }
    auto& program = fused_.program;
    auto op = walk_.nodes[i].elementwise->op();
    set_value(out(i), op == ElementwiseOp::Cast ? program.add_cast(args[0], out(i).dtype())
                                                : program.add(op, args[0], args[1], args[2]));
  }

  const Walk& walk_;
  const Group& group_;
  uint64_t id_;
  FusedGroup fused_;
  std::vector<long> uses_;  // of each result, by the group itself
};

}  // namespace

FusedGroup build_program(const Walk& walk, const Group& group) {
  return ProgramBuilder(walk, group).run();
}

}  // namespace mlx::core::detail
