// Numbers the values of one program as it grows, inputs and results alike, in the arrays' marks.
#include "mlx/graph/program_builder.h"

#include <algorithm>
#include <iterator>

#include "mlx/primitives/elementwise.h"

namespace mlx::core::detail {

namespace {

class Builder {
 public:
  Builder(const Walk& walk, const std::vector<uint32_t>& nodes)
      : walk_(walk), nodes_(nodes), uses_(nodes.size(), 0) {
    static uint64_t next_id = 0;
    id_ = ++next_id;
  }

  BuiltProgram run(uint32_t first_input, const GraphStep* step) {
    if (first_input != Walk::none) {
      add_input(walk_.first_result(first_input));
    }
    for (uint32_t i : nodes_) {
      for (uint32_t k = 0; k < walk_.input_count(i); k++) {
        if (!has_value(walk_.input(i, k))) {
          add_input(walk_.input(i, k));
          built_.inputs.push_back({i, k});
        }
      }
      set_value(out(i), 0);
    }
    for (uint32_t i : nodes_) {
      add_instruction(i);
    }
    for (size_t k = 0; k < nodes_.size(); k++) {
      const Node& node = walk_.nodes[nodes_[k]];
      if (!is_hidden(step, nodes_[k]) && (node.needed() || node.uses > uses_[k])) {
        built_.outputs.push_back(nodes_[k]);
        built_.program.outputs.push_back(node.handle->walk_mark().value);
      }
    }
    return std::move(built_);
  }

 private:
  const array& out(uint32_t i) const { return *walk_.nodes[i].handle; }

  bool has_value(const array& a) const { return a.walk_mark().program == id_; }

  /** Whether a value stays inside of a step whatever the other readers of its node. */
  static bool is_hidden(const GraphStep* step, uint32_t i) {
    return step && (std::binary_search(step->recomputed.begin(), step->recomputed.end(), i) ||
                    std::binary_search(step->unstored.begin(), step->unstored.end(), i));
  }

  void set_value(const array& a, uint32_t value) {
    a.walk_mark().program = id_;
    a.walk_mark().value = value;
  }

  void add_input(const array& a) {
    set_value(a, built_.program.inputs.size());
    built_.program.inputs.push_back(a.dtype());
  }

  void add_instruction(uint32_t i) {
    uint16_t args[3] = {0, 0, 0};
    for (size_t k = 0; k < walk_.input_count(i); k++) {
      const array& in = walk_.input(i, k);
      args[k] = static_cast<uint16_t>(in.walk_mark().value);
      auto it = std::lower_bound(nodes_.begin(), nodes_.end(), walk_.index_of(in));
      if (it != nodes_.end() && *it == walk_.index_of(in)) {
        uses_[it - nodes_.begin()]++;
      }
    }
    auto& program = built_.program;
    auto op = walk_.nodes[i].elementwise->op();
    set_value(out(i), op == ElementwiseOp::Cast ? program.add_cast(args[0], out(i).dtype())
                                                : program.add(op, args[0], args[1], args[2]));
  }

  const Walk& walk_;
  const std::vector<uint32_t>& nodes_;
  uint64_t id_;
  BuiltProgram built_;
  std::vector<uint32_t> uses_;  // of each result, by the nodes themselves
};

}  // namespace

BuiltProgram build_program(const Walk& walk, const std::vector<uint32_t>& nodes,
                           uint32_t first_input) {
  return Builder(walk, nodes).run(first_input, nullptr);
}

BuiltProgram build_prologue(const Walk& walk, const GraphStep& step) {
  std::vector<uint32_t> nodes;
  std::merge(step.recomputed.begin(), step.recomputed.end(), step.prologue.begin(),
             step.prologue.end(), std::back_inserter(nodes));
  return Builder(walk, nodes).run(Walk::none, &step);
}

}  // namespace mlx::core::detail
