// Accumulation over a tape: backwards with cotangents, forwards with tangents.
#include "mlx/transforms/gradients.h"

#include "mlx/core/origins.h"
#include "mlx/graph/tape.h"
#include "mlx/ops.h"
#include "mlx/primitives.h"

namespace mlx::core::detail {

namespace {

// Which inputs of a node depend on the arguments.
std::vector<int> dependent_inputs(const Tape& tape, const array& node) {
  std::vector<int> argnums;
  size_t n = node.primitive().differentiable_inputs(node.inputs().size());
  for (size_t i = 0; i < n; i++) {
    if (tape.depends(node.inputs()[i])) {
      argnums.push_back(static_cast<int>(i));
    }
  }
  return argnums;
}

void accumulate(Substitution& sums, const array& key, const array& value, const Stream& stream) {
  auto [it, fresh] = sums.emplace(key.id(), value);
  if (!fresh) {
    it->second = add(it->second, value, stream);
  }
}

std::vector<array> values_or_zeros(const Substitution& known, const std::vector<array>& keys) {
  std::vector<array> values;
  for (auto& key : keys) {
    auto it = known.find(key.id());
    if (it != known.end()) {
      values.push_back(it->second);
    } else {  // what is bool has tangents, too: zeros one can compute with
      values.push_back(key.dtype() == bool_ ? zeros(key.shape(), float32) : zeros_like(key));
    }
  }
  return values;
}

}  // namespace

std::vector<array> pull_back(const std::vector<array>& arguments, const std::vector<array>& outputs,
                             const std::vector<array>& cotangents) {
  Tape tape = record(arguments, outputs, TapeKind::differentiable);
  Substitution sums;
  for (size_t i = 0; i < outputs.size(); i++) {
    if (tape.depends(outputs[i])) {
      accumulate(sums, outputs[i], cotangents[i], to_stream({}));
    }
  }
  while (!tape.nodes.empty()) {
    array node = std::move(tape.nodes.back());
    tape.nodes.pop_back();
    auto node_outputs = node.outputs();
    bool reached = false;
    for (auto& out : node_outputs) {
      reached |= sums.count(out.id()) > 0;
    }
    if (!reached) {
      continue;
    }
    auto scope = OriginScope::derivative_of(node);
    auto argnums = dependent_inputs(tape, node);
    auto cotangents_here = values_or_zeros(sums, node_outputs);
    for (auto& out : node_outputs) {
      sums.erase(out.id());
    }
    auto grads = node.primitive().vjp(node.inputs(), cotangents_here, argnums, node_outputs);
    for (size_t k = 0; k < argnums.size(); k++) {
      accumulate(sums, node.inputs()[argnums[k]], grads[k], node.primitive().stream());
    }
  }
  return values_or_zeros(sums, arguments);
}

std::vector<array> push_forward(const std::vector<array>& arguments,
                                const std::vector<array>& outputs,
                                const std::vector<array>& tangents) {
  Tape tape = record(arguments, outputs, TapeKind::differentiable);
  Substitution known;
  for (size_t i = 0; i < arguments.size(); i++) {
    known.insert_or_assign(arguments[i].id(), tangents[i]);
  }
  for (auto& node : tape.nodes) {
    std::vector<int> argnums;
    std::vector<array> tangents_here;
    for (int i : dependent_inputs(tape, node)) {
      auto it = known.find(node.inputs()[i].id());
      if (it != known.end()) {
        argnums.push_back(i);
        tangents_here.push_back(it->second);
      }
    }
    if (argnums.empty()) {
      continue;
    }
    auto scope = OriginScope::derivative_of(node);
    auto results = node.primitive().jvp(node.inputs(), tangents_here, argnums);
    auto node_outputs = node.outputs();
    for (size_t k = 0; k < results.size(); k++) {
      known.insert_or_assign(node_outputs[k].id(), results[k]);
    }
  }
  return values_or_zeros(known, outputs);
}

}  // namespace mlx::core::detail
