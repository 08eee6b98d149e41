// A reduction moves to the product, which reads all that it needs: it comes there earlier, or later
// if nothing in between reads its result.
#include "mlx/graph/passes/operand_sums.h"

#include <typeinfo>
#include <unordered_map>

#include "mlx/backend/backend.h"
#include "mlx/primitives.h"
#include "mlx/primitives/reduce.h"
#include "mlx/primitives/shape.h"
#include "mlx/primitives/transpose.h"

namespace mlx::core::detail {

namespace {

/** How many steps later a reduction may come. */
constexpr uint32_t window = 24;

class OperandSums {
 public:
  OperandSums(const Walk& walk, StepGraph graph)
      : walk_(walk), graph_(std::move(graph)), step_of_(steps_of_nodes(walk, graph_)) {
    gone_.resize(graph_.size(), false);
  }

  StepGraph run() {
    for (uint32_t s = 0; s < graph_.size(); s++) {
      if (!is_alone(graph_[s]) || typeid(primitive_of(s)) != typeid(Reduce)) continue;
      auto [whole, turned] = source_of(walk_.input(graph_[s].root, 0));
      if (!turned) reductions_[whole].push_back(s);
    }
    for (uint32_t s = 0; s < graph_.size() && !reductions_.empty(); s++) {
      if (is_alone(graph_[s]) && walk_.input_count(graph_[s].root) == 2) join_with(s);
    }
    return without(std::move(graph_), gone_);
  }

 private:
  const array& made(uint32_t s) const { return *walk_.nodes[graph_[s].root].handle; }
  Primitive& primitive_of(uint32_t s) const { return made(s).primitive(); }

  bool is_alone(const GraphStep& step) const {
    return step.joined.empty() && has_bare_root(walk_, step);
  }

  struct Source {
    std::uintptr_t whole;  // what an array is the same elements of, as far as the walk knows
    bool turned;           // whether its rows have become columns on the way
  };

  Source source_of(const array& view) const {
    const array* whole = &view;
    bool turned = false;
    for (uint32_t i; (i = walk_.index_of(*whole)) != Walk::none;) {
      auto& primitive = walk_.nodes[i].handle->primitive();
      bool turns = typeid(primitive) == typeid(Transpose);
      if (walk_.nodes[i].plain || !(turns || dynamic_cast<Reshaping*>(&primitive))) break;
      turned = turned != turns;
      whole = &walk_.input(i, 0);
    }
    return {whole->id(), turned};
  }

  /** Joins the product of step `s` with the first reduction that can run there. A product adds up
   *  the columns of its second operand and the rows of its first. */
  void join_with(uint32_t s) {
    for (size_t k = 0; k < 2; k++) {
      auto [whole, turned] = source_of(walk_.input(graph_[s].root, k));
      auto found = reductions_.find(whole);
      if (found == reductions_.end() || turned != (k == 0)) continue;
      for (uint32_t r : found->second) {
        if (!can_join(s, r)) continue;
        graph_[s].joined.push_back(graph_[r].root);
        step_of_[graph_[r].root] = s;
        gone_[r] = true;
        return;
      }
    }
  }

  bool can_join(uint32_t product, uint32_t reduction) const {
    if (gone_[reduction] || product == reduction ||
        graph_[product].stream(walk_) != graph_[reduction].stream(walk_)) {
      return false;
    }
    auto& primitive = primitive_of(product);
    if (!step_rules(primitive.device())
             .sums_operands(primitive, primitive_of(reduction), made(reduction).dtype())) {
      return false;
    }
    uint32_t producer = walk_.index_of(walk_.input(graph_[reduction].root, 0));
    bool earlier = producer == Walk::none || step_of_[producer] < product;
    return product < reduction ? earlier : waits(reduction, product);
  }

  /** Whether nothing reads the result of step `first` before step `last`. */
  bool waits(uint32_t first, uint32_t last) const {
    if (last - first > window) return false;
    bool reads = false;
    for (uint32_t s = first + 1; s <= last; s++) {
      if (gone_[s]) continue;
      graph_[s].for_each_node([&](uint32_t i) {
        for (size_t k = 0; k < walk_.input_count(i); k++) {
          reads = reads || walk_.index_of(walk_.input(i, k)) == graph_[first].root;
        }
      });
    }
    return !reads;
  }

  const Walk& walk_;
  StepGraph graph_;
  std::vector<uint32_t> step_of_;
  std::vector<bool> gone_;
  std::unordered_map<std::uintptr_t, std::vector<uint32_t>> reductions_;  // by what they reduce
};

}  // namespace

StepGraph join_operand_sums(const Walk& walk, StepGraph graph) {
  return graph.size() < 2 ? std::move(graph) : OperandSums(walk, std::move(graph)).run();
}

}  // namespace mlx::core::detail
