// The part of the graph that an evaluation has to run: every unevaluated node that its outputs
// need, inputs before users. Nodes that their stream's backend does not support are replaced here
// by the plain ops that they stand for. The walk also writes down the graph's structure: what
// planning looks at and nothing else, so that a plan is found again when shapes or offsets have
// changed.
#pragma once

#include <cstdint>
#include <list>
#include <vector>

#include "mlx/array.h"
#include "mlx/stream.h"

namespace mlx::core {
class Elementwise;
}

namespace mlx::core::detail {

struct Node {
  /** One of the node's outputs. Points into the graph, which must not change meanwhile. */
  const array* handle;
  /** What the handle shares the data of, if the node's place was taken by plain ops. */
  const array* plain = nullptr;
  /** The element-wise operation of the node, or nullptr: what fusion may take. */
  const Elementwise* elementwise = nullptr;
  /** How often the walk's nodes read its result; of several, the first. */
  uint32_t uses = 0;
  /** Random words that a program may make itself: 32 bits each, of one key. */
  bool generator = false;
  /** Whether it makes so little that it does not matter when it is made. */
  bool modest = false;
  /** Whether a kernel that makes it alone does not take much longer than its launch. */
  bool brief = false;
  /** Number of its stream in `Walk::streams`. */
  uint32_t stream = 0;
  /** Asked for by the caller of the evaluation, or held by somebody outside of the walk: its value
   *  has to reach memory. Of several results, any is asked for, and the first is held. */
  bool requested = false, held = false;

  bool needed() const { return requested || held; }
};

/** What decides how a graph is planned, as words that compare equal if the plans are the same. */
struct Structure {
  std::vector<uint64_t> words;
  uint64_t hash = 0;

  void add(uint64_t word) { words.push_back(word); }
  /** To be called when all words are there. */
  void finish() {
    for (uint64_t word : words) {
      hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
      hash ^= hash >> 29;
    }
  }
  bool operator==(const Structure& other) const {
    return hash == other.hash && words == other.words;
  }
};

/** A number for marks on arrays that no walk has had. To be called with the graph lock held. */
uint64_t new_walk_id();

class Walk {
 public:
  /**
   * Lists what `outputs` need. Throws std::invalid_argument if that includes an argument of a
   * function that is being traced without values. One walk at a time, since nodes carry marks.
   */
  explicit Walk(const std::vector<array>& outputs);
  ~Walk();
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  static constexpr uint32_t none = UINT32_MAX;

  /** Up to so many elements programs grow as long as they like. */
  static constexpr size_t small_array = 4096;
  /** Up to so many elements a result may be made earlier than it is used. */
  static constexpr size_t modest_array = size_t{1} << 18;
  /** Up to so many elements launches matter. */
  static constexpr size_t brief_array = size_t{1} << 22;

  /** Index of the node that makes `a`, or `none` if `a` is no part of the walk. */
  uint32_t index_of(const array& a) const {
    auto& mark = a.walk_mark();
    return mark.walk == id_ && mark.index < first_outside ? mark.index : none;
  }

  /** What a node reads: its inputs, or for a replaced node the value it stands for. */
  size_t input_count(uint32_t i) const {
    return nodes[i].plain ? 1 : nodes[i].handle->inputs().size();
  }
  const array& input(uint32_t i, size_t k) const {
    return nodes[i].plain ? *nodes[i].plain : nodes[i].handle->inputs()[k];
  }

  /** The first of the results of a node. */
  const array& first_result(uint32_t i) const {
    const array& handle = *nodes[i].handle;
    return handle.sibling_position() == 0 ? handle : handle.siblings().front();
  }

  /** Whether the one element of an input is known to be 0 without asking a device. */
  static bool is_zero(const array& a);

  std::vector<Node> nodes;
  std::vector<Stream> streams;  // in the order of their first nodes
  Structure structure;

 private:
  struct Frame;

  static constexpr uint32_t first_outside = UINT32_MAX / 2;

  void visit(const array& output);
  bool enter(const array& a);
  void finish(const array& a);
  bool replace_by_plain(Frame& frame, std::vector<Frame>& stack);
  void finish_replaced(const Frame& frame);
  void describe(const Node& node);
  uint64_t describe_input(const Node& node, const array& in);
  uint32_t number_of(const Stream& s);
  void find_held();

  uint64_t id_;
  uint32_t outside_ = 0;                 // arrays from outside that were met
  std::list<std::vector<array>> plain_;  // what unsupported nodes were replaced by
};

}  // namespace mlx::core::detail
