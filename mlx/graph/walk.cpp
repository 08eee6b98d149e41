// Depth-first search without recursion: graphs may be a million nodes deep.
#include "mlx/graph/walk.h"

#include "mlx/core/errors.h"
#include "mlx/primitives.h"
#include "mlx/primitives/elementwise.h"

namespace mlx::core::detail {

namespace {

uint64_t next_walk_id = 0;

bool to_be_run(const array& a) { return a.status() == array::Status::unscheduled; }

}  // namespace

Walk::Walk(const std::vector<array>& outputs) : id_(++next_walk_id) {
  for (auto& out : outputs) {
    if (to_be_run(out)) {
      visit(out);
      nodes[out.walk_mark().index].requested = true;
    }
  }
}

bool Walk::enter(const array& a) {
  check(a.has_primitive(), "eval",
        "Attempting to eval an array during function transformations like compile or vmap is not "
        "allowed.");
  if (a.walk_mark().walk == id_) {
    return false;
  }
  a.walk_mark().walk = id_;
  a.walk_mark().index = none;
  for (auto& s : a.siblings()) {
    s.walk_mark().walk = id_;
    s.walk_mark().index = none;
  }
  return true;
}

void Walk::finish(const array& a) {
  auto index = static_cast<uint32_t>(nodes.size());
  nodes.push_back({&a, dynamic_cast<const Elementwise*>(&a.primitive())});
  a.walk_mark().index = index;
  for (auto& s : a.siblings()) {
    s.walk_mark().index = index;
  }
}

void Walk::visit(const array& output) {
  struct Frame {
    const array* node;
    size_t next_input;
  };
  if (!enter(output)) {
    return;
  }
  std::vector<Frame> stack{{&output, 0}};
  while (!stack.empty()) {
    auto& [node, next] = stack.back();
    if (next == node->inputs().size()) {
      finish(*node);
      stack.pop_back();
      continue;
    }
    const array& in = node->inputs()[next++];
    if (to_be_run(in) && enter(in)) {
      stack.push_back({&in, 0});
    }
  }
}

}  // namespace mlx::core::detail
