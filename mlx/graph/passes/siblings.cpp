// Looks back from each step over the few in front of it. Where one of them can be joined with it,
// that one moves behind whatever does not need it, and what does need it moves behind both.
#include "mlx/graph/passes/siblings.h"

#include <algorithm>

#include "mlx/backend/backend.h"
#include "mlx/primitives.h"
#include "mlx/primitives/joined.h"

namespace mlx::core::detail {

namespace {

/** Siblings lie no further apart: a few views and programs each. */
constexpr size_t window = 24;

class SiblingSteps {
 public:
  SiblingSteps(const Walk& walk, StepGraph graph)
      : walk_(walk), graph_(std::move(graph)), number_(walk.nodes.size(), Walk::none) {
    order_.resize(graph_.size());
    for (uint32_t s = 0; s < graph_.size(); s++) {
      order_[s] = s;
      graph_[s].for_each_node([&](uint32_t i) { number_[i] = s; });
    }
  }

  StepGraph run() {
    for (size_t at = 0; at < order_.size(); at++) {
      Joining how = joining_of(graph_[order_[at]]);
      if (how.most > 1) at = join_backwards(at, how);
    }
    StepGraph joined;
    joined.reserve(order_.size());
    for (uint32_t s : order_) joined.push_back(std::move(graph_[s]));
    return joined;
  }

 private:
  const array& made(const GraphStep& step) const { return *walk_.nodes[step.root].handle; }

  Joining joining_of(const GraphStep& step) const {
    if (!has_bare_root(walk_, step)) return {};
    Joining how = step_rules(made(step).primitive().device()).joins(made(step).primitive());
    if (!how.any_size && !walk_.nodes[step.root].modest) how.most = 1;
    return how;
  }

  /** Whether both are of one sort, wherever they are. */
  bool are_alike(const GraphStep& a, const GraphStep& b, const Joining& how) const {
    const array &x = made(a), &y = made(b);
    auto& primitive = x.primitive();
    return typeid(primitive) == typeid(y.primitive()) && a.stream(walk_) == b.stream(walk_) &&
           x.dtype() == y.dtype() && x.inputs().size() == y.inputs().size() &&
           (!how.same_input || x.inputs()[0].id() == y.inputs()[0].id());
  }

  template <typename F>
  void for_each_producer(const GraphStep& step, F&& f) const {
    step.for_each_node([&](uint32_t i) {
      for (size_t k = 0; k < walk_.input_count(i); k++) {
        uint32_t producer = walk_.index_of(walk_.input(i, k));
        if (producer != Walk::none) f(number_[producer]);
      }
    });
  }

  /** Whether the step makes so little that others may pass it. */
  bool is_light(const GraphStep& step) const {
    bool light = true;
    step.for_each_node([&](uint32_t i) {
      const Node& node = walk_.nodes[i];
      auto& primitive = node.handle->primitive();
      bool view =
          primitive.type_number() != 0 && static_cast<const BuiltinPrimitive&>(primitive).is_view();
      light = light && (node.modest || view || node.plain ||
                        step_rules(primitive.device()).joins(primitive).any_size);
    });
    return light;
  }

  /** Joins the step at place `at` with an earlier one, if there is one; returns its place then. */
  size_t join_backwards(size_t at, const Joining& how) {
    const GraphStep& later = graph_[order_[at]];
    size_t first = at - std::min(at, window);
    for (size_t place = at; place-- > first;) {
      const GraphStep& earlier = graph_[order_[place]];
      if (1 + earlier.joined.size() < joining_of(earlier).most && are_alike(earlier, later, how)) {
        auto users = users_of(place, at);
        if (users.empty() || users.back() != order_[at]) return merge(place, at, users);
      }
      if (!is_light(earlier)) break;
    }
    return at;
  }

  /** The steps behind `place` up to `at` that need what it makes, directly or not, in order. */
  std::vector<uint32_t> users_of(size_t place, size_t at) const {
    std::vector<uint32_t> users, sources{order_[place]};
    for (size_t i = place + 1; i <= at; i++) {
      bool uses = false;
      for_each_producer(graph_[order_[i]], [&](uint32_t s) {
        uses = uses || std::find(sources.begin(), sources.end(), s) != sources.end();
      });
      if (uses) {
        users.push_back(order_[i]);
        sources.push_back(order_[i]);
      }
    }
    return users;
  }

  size_t merge(size_t place, size_t at, const std::vector<uint32_t>& users) {
    GraphStep &earlier = graph_[order_[place]], &later = graph_[order_[at]];
    uint32_t whole = order_[place];
    earlier.joined.push_back(later.root);
    number_[later.root] = whole;
    std::vector<uint32_t> others;
    for (size_t i = place + 1; i < at; i++) {
      if (std::find(users.begin(), users.end(), order_[i]) == users.end()) {
        others.push_back(order_[i]);
      }
    }
    auto to = std::copy(others.begin(), others.end(), order_.begin() + place);
    size_t joined_at = to - order_.begin();
    *to++ = whole;
    std::copy(users.begin(), users.end(), to);
    order_.erase(order_.begin() + at);
    return joined_at;
  }

  const Walk& walk_;
  StepGraph graph_;
  std::vector<uint32_t> order_;   // of the steps, by their numbers in graph_
  std::vector<uint32_t> number_;  // of each node's step
};

}  // namespace

StepGraph join_siblings(const Walk& walk, StepGraph graph) {
  return graph.size() < 2 ? graph : SiblingSteps(walk, std::move(graph)).run();
}

}  // namespace mlx::core::detail
