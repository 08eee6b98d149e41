// Running control flow: graphs are built and evaluated inside the step, turn by turn.
#include "mlx/transforms/control.h"

#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/core/interrupt.h"
#include "mlx/core/scheduler.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

std::vector<array> part(const std::vector<array>& all, size_t begin, size_t end) {
  return {all.begin() + static_cast<std::ptrdiff_t>(begin),
          all.begin() + static_cast<std::ptrdiff_t>(end)};
}

bool same_graphs(const ControlPrimitive& a, const ControlPrimitive& b) {
  return a.graphs() == b.graphs();  // the same ones: graphs are not compared
}

/** A loop ends when the process does, and when its user interrupts a wait. */
class LoopGuard {
 public:
  explicit LoopGuard(const char* op) : op_(op), interrupts_(interrupt_count()) {}
  void look() const {
    scheduler::check_cancelled();
    if (interrupt_count() != interrupts_) {
      throw std::runtime_error(error_message(op_, "The loop was interrupted."));
    }
  }

 private:
  const char* op_;
  uint64_t interrupts_;
};

}  // namespace

namespace detail {

std::vector<array> joined(std::vector<array> a, const std::vector<array>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bool read_flag(const array& flag, const Stream& s) {
  bool is_host = s.device.type == Device::cpu;
  bool is_truth = is_host && flag.dtype() == bool_;
  array truth = is_truth ? flag : not_equal(flag, array(0, flag.dtype()), s);
  evaluate_within({truth}, s);
  if (!is_host) truth.event().wait();  // its own; that of the step's inputs comes with the step
  if (auto failure = truth.error()) std::rethrow_exception(failure);
  // As a byte: whatever it holds, one of two graphs is chosen.
  return *truth.data<uint8_t>() != 0;
}

}  // namespace detail

using detail::joined;

bool ControlPrimitive::is_equivalent(const Primitive& other) const {
  return typeid(other) == typeid(*this) &&
         same_graphs(*this, static_cast<const ControlPrimitive&>(other));
}

bool ScanLoop::is_equivalent(const Primitive& other) const {
  return ControlPrimitive::is_equivalent(other) &&
         spec_.fields() == static_cast<const ScanLoop&>(other).spec_.fields();
}

// ------------ Cond

std::vector<array> Cond::compute(const std::vector<array>& inputs) {
  bool flag = detail::read_flag(inputs.back(), stream());
  auto outputs = (*graphs_[flag ? 0 : 1])(part(inputs, 0, inputs.size() - 1));
  evaluate(outputs);
  return outputs;
}

std::vector<Shape> Cond::output_shapes(const std::vector<array>& inputs) {
  auto operands = part(inputs, 0, inputs.size() - 1);
  auto shapes = graphs_[0]->output_shapes(operands);
  check(shapes == graphs_[1]->output_shapes(operands), "cond",
        "The branches give arrays of different shapes.");
  return shapes;
}

// ------------ While

std::vector<array> While::compute(const std::vector<array>& inputs) {
  LoopGuard guard("while_loop");
  auto state = part(inputs, 0, carried());
  auto captured = part(inputs, carried(), inputs.size());
  array flag = (*graphs_[0])(inputs)[0];
  while (detail::read_flag(flag, stream())) {
    guard.look();
    state = (*graphs_[1])(joined(std::move(state), captured));
    flag = (*graphs_[0])(joined(state, captured))[0];
    evaluate(joined(state, {flag}));
  }
  return state;
}

std::vector<Shape> While::output_shapes(const std::vector<array>& inputs) {
  auto shapes = graphs_[1]->output_shapes(inputs);
  for (size_t i = 0; i < shapes.size(); i++) {
    check(shapes[i] == inputs[i].shape(), "while_loop", "The body makes shape ", shapes[i],
          " of shape ", inputs[i].shape(), ".");
  }
  return shapes;
}

// ------------ Scan

std::vector<array> ScanLoop::compute(const std::vector<array>& inputs) {
  constexpr size_t nodes_at_once = 512;  // enough for fusion and donation, few enough to plan
  LoopGuard guard("scan");
  auto in = parts(inputs);
  Stream s = stream();
  const auto& graph = *graphs_[0];
  size_t turns_at_once = 1 + nodes_at_once / (1 + graph.recording().nodes().size());
  size_t carried = in.carry.size(), n = graph.shapes().size();
  std::vector<std::vector<array>> collected(n - carried);
  std::vector<array> carry = std::move(in.carry);
  size_t length = spec_.length, pending = 0;
  std::vector<array> unevaluated;
  for (size_t turn = 0; turn < length; turn++) {
    auto t = static_cast<int>(spec_.reverse ? length - 1 - turn : turn);
    auto arguments = std::move(carry);
    for (auto& x : in.xs) arguments.push_back(take(x, t, 0, s));
    auto outputs = graph(joined(std::move(arguments), in.captured));
    carry = part(outputs, 0, carried);
    for (size_t k = carried; k < n; k++) {
      collected[k - carried].push_back(outputs[k]);
      unevaluated.push_back(outputs[k]);
    }
    if (++pending == turns_at_once || turn + 1 == length) {
      guard.look();
      evaluate(joined(std::move(unevaluated), carry));
      unevaluated.clear();
      pending = 0;
    }
  }
  for (size_t k = 0; k < collected.size(); k++) {
    auto& turns = collected[k];
    if (spec_.reverse) std::reverse(turns.begin(), turns.end());
    Shape shape = graph.shapes()[carried + k];
    shape.insert(shape.begin(), 0);
    carry.push_back(turns.empty() ? zeros(shape, graph.dtypes()[carried + k], s)
                                  : stack(turns, 0, s));
    turns.clear();
  }
  evaluate(carry);
  return carry;
}

std::vector<Shape> ScanLoop::output_shapes(const std::vector<array>& inputs) {
  auto in = parts(inputs);
  std::vector<array> arguments = in.carry;
  for (auto& x : in.xs) {
    check(x.ndim() > 0 && x.shape(0) == spec_.length, "scan", "An array of shape ", x.shape(),
          " does not have the ", spec_.length, " turns of the loop.");
    Shape shape(x.shape().begin() + 1, x.shape().end());
    arguments.emplace_back(shape, x.dtype(), nullptr, std::vector<array>{});
  }
  auto shapes = graphs_[0]->output_shapes(joined(std::move(arguments), in.captured));
  for (size_t i = 0; i < shapes.size(); i++) {
    if (i < in.carry.size()) {
      check(shapes[i] == in.carry[i].shape(), "scan", "A turn makes shape ", shapes[i],
            " of a carry of shape ", in.carry[i].shape(), ".");
    } else {
      shapes[i].insert(shapes[i].begin(), spec_.length);
    }
  }
  return shapes;
}

}  // namespace mlx::core
