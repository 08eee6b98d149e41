// Recording: an iterative depth-first search from the outputs back to the arguments.
#include "mlx/graph/tape.h"

#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/core/graph_lock.h"
#include "mlx/primitives.h"
#include "mlx/primitives/elementwise.h"
#include "mlx/primitives/transforms.h"
#include "mlx/utils.h"

namespace mlx::core::detail {

array make_tracer(const array& a) {
  if (a.is_available() && !a.is_tracer() && !a.error()) {
    array tracer = array::unsafe_weak_copy(a);
    tracer.set_tracer(true);
    return tracer;
  }
  array tracer(a.shape(), a.dtype(), std::make_shared<Identity>(stream_of(a)), {a});
  tracer.set_tracer(true);
  return tracer;
}

array make_placeholder(Shape shape, Dtype dtype) {
  array placeholder(std::move(shape), dtype, nullptr, {});
  placeholder.set_tracer(true);
  return placeholder;
}

namespace {

class Recorder {
 public:
  Recorder(const std::vector<array>& arguments, TapeKind kind) : kind_(kind) {
    for (auto& a : arguments) {
      integers_too_ |= !issubdtype(a.dtype(), inexact);
      tape_.dependent.insert(a.id());
      seen_.insert(a.id());
    }
  }

  Tape run(const std::vector<array>& outputs) {
    for (auto& out : outputs) {
      visit(out);
    }
    return std::move(tape_);
  }

 private:
  struct Frame {
    array node;
    size_t next;
  };

  size_t inputs_to_follow(const array& a) const {
    size_t n = a.inputs().size();
    return kind_ == TapeKind::all ? n : a.primitive().differentiable_inputs(n);
  }

  bool carries(const array& a) const {
    return kind_ == TapeKind::all || integers_too_ || issubdtype(a.dtype(), inexact);
  }

  // Whether the node has to be looked at; its siblings then are not.
  bool enter(const array& a) {
    if (!a.has_primitive() || !a.is_tracer() || !seen_.insert(a.id()).second) {
      return false;
    }
    for (auto& s : a.siblings()) {
      seen_.insert(s.id());
    }
    return true;
  }

  void finish(const array& a) {
    auto end = a.inputs().begin() + inputs_to_follow(a);
    bool depends =
        std::any_of(a.inputs().begin(), end, [this](const array& in) { return tape_.depends(in); });
    if (kind_ == TapeKind::differentiable && !integers_too_) {
      follow_rounded(a, depends);
    }
    if (!depends) {
      return;
    }
    bool any = false;
    for (auto& out : a.outputs()) {
      if (carries(out)) {
        tape_.dependent.insert(out.id());
        any = true;
      }
    }
    if (any) {
      tape_.nodes.push_back(a);
      if (auto call = call_of(a.primitive())) {
        tape_.calls.push_back(std::move(call));
      }
    }
  }

  /** Keeps track of integers that conversions make of what depends on the arguments: no derivative
   *  leads through them, so they must not be positions. */
  void follow_rounded(const array& a, bool depends) {
    const Primitive& primitive = a.primitive();
    bool rounded = std::any_of(a.inputs().begin(), a.inputs().end(),
                               [this](const array& in) { return rounded_.count(in.id()) > 0; });
    check(!rounded || !primitive.takes_positions(), primitive.name(),
          "There is no derivative with respect to positions, which are made here of what is "
          "differentiated: put them through stop_gradient.");
    auto* elementwise = depends ? dynamic_cast<const Elementwise*>(&primitive) : nullptr;
    if (rounded || (elementwise && elementwise->op() == ElementwiseOp::Cast)) {
      for (auto& out : a.outputs()) {
        if (issubdtype(out.dtype(), integer)) rounded_.insert(out.id());
      }
    }
  }

  void visit(const array& out) {
    if (!enter(out)) {
      return;
    }
    std::vector<Frame> stack{{out, 0}};
    while (!stack.empty()) {
      auto& [node, next] = stack.back();
      if (next == inputs_to_follow(node)) {
        finish(node);
        stack.pop_back();
        continue;
      }
      const array in = node.inputs()[next++];
      if (enter(in)) {
        stack.push_back({in, 0});
      }
    }
  }

  TapeKind kind_;
  bool integers_too_ = false;
  Tape tape_;
  std::unordered_set<std::uintptr_t> seen_;
  std::unordered_set<std::uintptr_t> rounded_;
};

}  // namespace

Tape record(const std::vector<array>& arguments, const std::vector<array>& outputs, TapeKind kind) {
  return Recorder(arguments, kind).run(outputs);
}

}  // namespace mlx::core::detail
