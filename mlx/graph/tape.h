// What a function did to its traced arguments, as a list of nodes.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {
struct CustomCall;
}

namespace mlx::core::detail {

/** An argument for tracing that has `a`'s value but is a node of its own. */
array make_tracer(const array& a);

/** An argument for tracing without a value: evaluating it raises. */
array make_placeholder(Shape shape, Dtype dtype);

/** A function with rules of its own, as nodes refer to it. */
using CustomCallPtr = std::shared_ptr<const CustomCall>;

struct Tape {
  /** One output of each primitive application that depends on the arguments, inputs first. */
  std::vector<array> nodes;
  /** Ids of all arrays that depend on the arguments, these included. */
  std::unordered_set<std::uintptr_t> dependent;

  /** What the nodes' rules are, for as long as the tape is in use. */
  std::vector<CustomCallPtr> calls;

  bool depends(const array& a) const { return dependent.count(a.id()) > 0; }
};

enum class TapeKind {
  /** All nodes that the outputs need. */
  all,
  /** Only those through which derivatives flow: not past integers or stopped gradients. */
  differentiable,
};

/** To be called within the TracingScope of the trace. */
Tape record(const std::vector<array>& arguments, const std::vector<array>& outputs, TapeKind kind);

/** The arrays that stand for a tape's arrays, by id. */
using Substitution = std::unordered_map<std::uintptr_t, array>;

inline const array& substituted(const Substitution& s, const array& a) {
  auto it = s.find(a.id());
  return it == s.end() ? a : it->second;
}

}  // namespace mlx::core::detail
