// Depth-first search without recursion: graphs may be a million nodes deep.
#include "mlx/graph/walk.h"

#include <algorithm>
#include <typeinfo>

#include "mlx/backend/backend.h"
#include "mlx/core/errors.h"
#include "mlx/core/origins.h"
#include "mlx/graph/deferred.h"
#include "mlx/graph/prefetch_node.h"
#include "mlx/primitives.h"
#include "mlx/primitives/elementwise.h"
#include "mlx/primitives/fallback.h"
#include "mlx/primitives/random.h"

namespace mlx::core::detail {

namespace {

bool to_be_run(const array& a) { return a.status() == array::Status::unscheduled; }

bool is_supported(const array& a) {
  auto* whole = a.primitive().plain_form();
  return !whole || step_rules(a.primitive().device()).supports(*whole, a.inputs());
}

/** What walks fill, kept from one to the next: one grows into the same places that the last one
 * did. For whoever holds the graph lock. */
struct Room {
  static constexpr size_t most_nodes = 4096;
  std::vector<Node> nodes;
  std::vector<uint64_t> words;
};

Room& room() {
  static auto* kept = new Room;
  return *kept;
}

bool is_generator(const array& a) {
  return a.dtype() == uint32 && typeid(a.primitive()) == typeid(RandomBits) &&
         a.inputs()[0].size() == 2;
}

}  // namespace

uint64_t new_walk_id() {
  static uint64_t last = 0;
  return ++last;
}

struct Walk::Frame {
  const array* node;
  size_t next_input = 0;
  const std::vector<array>* plain = nullptr;
};

Walk::Walk(const std::vector<array>& outputs) : id_(new_walk_id()) {
  nodes.swap(room().nodes);
  structure.words.swap(room().words);
  for (auto& out : outputs) {
    if (to_be_run(out)) {
      visit(out);
      nodes[out.walk_mark().index].requested = true;
    }
  }
  find_held();
}

Walk::~Walk() {
  if (nodes.capacity() > Room::most_nodes) return;
  nodes.clear();
  structure.words.clear();
  room().nodes.swap(nodes);
  room().words.swap(structure.words);
}

bool Walk::enter(const array& a) {
  check(a.has_primitive(), "eval",
        "Attempting to eval an array during function transformations like compile or vmap is not "
        "allowed.");
  if (a.walk_mark().walk == id_) {
    return false;
  }
  build_graph_of(a);
  for (auto& in : a.inputs()) prefetch_node(in);
  a.walk_mark().walk = id_;
  a.walk_mark().index = none;
  for (auto& s : a.siblings()) {
    s.walk_mark().walk = id_;
    s.walk_mark().index = none;
  }
  return true;
}

void Walk::visit(const array& output) {
  if (!enter(output)) {
    return;
  }
  std::vector<Frame> stack;
  stack.reserve(16);
  stack.push_back({&output});
  while (!stack.empty()) {
    Frame& top = stack.back();
    if (!top.plain && top.next_input < top.node->inputs().size()) {
      const array& in = top.node->inputs()[top.next_input++];
      if (to_be_run(in) && enter(in)) {
        stack.push_back({&in});
      }
    } else if (top.plain) {
      finish_replaced(top);
      stack.pop_back();
    } else if (!replace_by_plain(top, stack)) {
      finish(*top.node);
      stack.pop_back();
    }
  }
}

uint32_t Walk::number_of(const Stream& s) {
  for (size_t i = streams.size(); i-- > 0;) {
    if (streams[i] == s) return static_cast<uint32_t>(i);
  }
  streams.push_back(s);
  return static_cast<uint32_t>(streams.size() - 1);
}

void Walk::finish(const array& a) {
  auto index = static_cast<uint32_t>(nodes.size());
  auto& primitive = a.primitive();
  Node node{&a};
  static const size_t elementwise = type_number(typeid(Elementwise));
  if (primitive.type_number() == elementwise) {  // comparing types would compare their names
    node.elementwise = static_cast<const Elementwise*>(&primitive);
  }
  node.generator = is_generator(a);
  node.modest = a.size() <= modest_array;
  node.brief = a.size() <= brief_array;
  node.stream = number_of(primitive.stream());
  describe(node);
  nodes.push_back(node);
  a.walk_mark().index = index;
  for (auto& s : a.siblings()) {
    s.walk_mark().index = index;
  }
}

// Puts what the plain ops need onto the stack; the frame is finished when they are.
bool Walk::replace_by_plain(Frame& frame, std::vector<Frame>& stack) {
  const array& a = *frame.node;
  if (is_supported(a)) {
    return false;
  }
  OriginScope scope(keeps_origins() ? origin_of(a) : "");
  auto outputs = a.primitive().plain_form()->fallback(a.inputs());
  frame.plain = &plain_.emplace_back(std::move(outputs));
  const auto& plain = *frame.plain;  // the frame moves when the stack grows
  for (auto& out : plain) {
    if (to_be_run(out) && enter(out)) {
      stack.push_back({&out});
    }
  }
  return true;
}

void Walk::finish_replaced(const Frame& frame) {
  auto outputs = frame.node->outputs();
  internal_check(outputs.size() == frame.plain->size(), "plain ops with other outputs");
  auto take = [&](const array& out, const array& value) {
    out.walk_mark().index = static_cast<uint32_t>(nodes.size());
    Node node{&out, &value};
    node.requested = true;  // all of them, since they become available together
    node.stream = number_of(frame.node->primitive().stream());
    describe(node);
    nodes.push_back(node);
  };
  auto position = static_cast<size_t>(frame.node->sibling_position());
  take(*frame.node, (*frame.plain)[position]);
  for (size_t i = 0; i < frame.node->siblings().size(); i++) {
    take(frame.node->siblings()[i], (*frame.plain)[i < position ? i : i + 1]);
  }
}

// ------------------------------------------------------------------ structure

void Walk::describe(const Node& node) {
  const array& a = *node.handle;
  auto& primitive = a.primitive();
  uint64_t sort = node.plain ? 0 : reinterpret_cast<uintptr_t>(&typeid(primitive));
  uint64_t op = node.elementwise ? static_cast<uint64_t>(node.elementwise->op()) : 0;
  uint64_t facts = (a.size() <= small_array ? 1 : 0) | (node.generator ? 2 : 0) |
                   (primitive.device() == Device::cpu ? 4 : 0) | (node.modest ? 8 : 0) |
                   (node.brief ? 16 : 0) | (!a.siblings().empty() && a.is_tracer() ? 32 : 0);
  size_t inputs = node.plain ? 1 : a.inputs().size();
  structure.add(sort);
  structure.add(op << 56 | facts << 48 | static_cast<uint64_t>(a.dtype().val()) << 40 |
                node.stream);
  structure.add(static_cast<uint64_t>(a.siblings().size()) << 32 | inputs);
  for (size_t k = 0; k < inputs; k++) {
    structure.add(describe_input(node, node.plain ? *node.plain : a.inputs()[k]));
  }
}

// Arrays from outside are numbered as they are met, so that the same one read twice shows.
uint64_t Walk::describe_input(const Node& node, const array& in) {
  auto& mark = in.walk_mark();
  if (mark.walk != id_) {
    mark.walk = id_;
    mark.index = first_outside + outside_++;
  }
  uint64_t facts = node.elementwise && in.shape() == node.handle->shape() ? 1 : 0;
  if (mark.index < first_outside) {
    auto readings = 1 + static_cast<uint32_t>(node.handle->siblings().size());
    if (in.sibling_position() == 0) nodes[mark.index].uses += readings;
  } else if (node.elementwise && is_zero(in)) {
    facts |= 2;
  }
  return static_cast<uint64_t>(mark.index) << 32 |
         static_cast<uint64_t>(in.sibling_position() & 0xffff) << 16 |
         static_cast<uint64_t>(in.dtype().val()) << 8 | facts;
}

void Walk::find_held() {
  uint64_t bits = 0;
  for (size_t i = 0; i < nodes.size(); i++) {
    auto& node = nodes[i];
    const array& first = first_result(i);
    auto known = static_cast<long>(node.uses + first.siblings().size());
    node.held = first.use_count() > known;
    bits = bits << 2 | (node.requested ? 2 : 0) | (node.held ? 1 : 0);
    if (i % 32 == 31 || i + 1 == nodes.size()) {
      structure.add(bits);
      bits = 0;
    }
  }
  structure.finish();
}

bool Walk::is_zero(const array& a) {
  if (a.size() != 1 || to_be_run(a) || !a.is_available() || a.error() ||
      a.buffer().device_memory()) {
    return false;
  }
  const char* bytes = a.data<char>();
  return std::all_of(bytes, bytes + a.itemsize(), [](char byte) { return byte == 0; });
}

}  // namespace mlx::core::detail
