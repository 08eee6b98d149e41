// The part of the graph that an evaluation has to run: every unevaluated node that its outputs
// need, inputs before users.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {
class Elementwise;
}

namespace mlx::core::detail {

struct Node {
  /** One of the node's outputs. Points into the graph, which must not change meanwhile. */
  const array* handle;
  /** The element-wise operation of the node, or nullptr: what fusion may take. */
  const Elementwise* elementwise = nullptr;
  /** Asked for by the caller of the evaluation. */
  bool requested = false;
};

class Walk {
 public:
  /**
   * Lists what `outputs` need. Throws std::invalid_argument if that includes an argument of a
   * function that is being traced without values. One walk at a time, since nodes carry marks.
   */
  explicit Walk(const std::vector<array>& outputs);

  static constexpr uint32_t none = UINT32_MAX;

  /** Index of the node that makes `a`, or `none` if `a` is no part of the walk. */
  uint32_t index_of(const array& a) const {
    auto& mark = a.walk_mark();
    return mark.walk == id_ ? mark.index : none;
  }

  std::vector<Node> nodes;

 private:
  void visit(const array& output);
  bool enter(const array& a);
  void finish(const array& a);

  uint64_t id_;
};

}  // namespace mlx::core::detail
