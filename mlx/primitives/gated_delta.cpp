// The gated delta rule step by step from plain ops, and its batching: more sequences.
#include "mlx/primitives/gated_delta.h"

#include <numeric>

#include "mlx/ops.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

namespace {

/** What belongs to step t, with heads of q and k repeated and axes for the state's two. */
struct Step {
  array query, key, value, gate, beta;

  Step(const std::vector<array>& inputs, int t, Stream s)
      : query(row(spread(inputs[0], inputs[2], s), t, s)),
        key(row(spread(inputs[1], inputs[2], s), t, s)),
        value(take(inputs[2], t, 1, s)),
        gate(inputs[3].ndim() == 4 ? row(inputs[3], t, s)
                                   : expand_dims(take(inputs[3], t, 1, s), {-2, -1}, s)),
        beta(expand_dims(take(inputs[4], t, 1, s), -1, s)) {}

 private:
  static array spread(const array& x, const array& v, Stream s) {
    return repeat(x, v.shape(2) / x.shape(2), 2, s);
  }
  static array row(const array& x, int t, Stream s) { return expand_dims(take(x, t, 1, s), -2, s); }
};

/** `inputs` with the mapped axis merged into the first one. */
std::vector<array> merged(const std::vector<array>& inputs, const std::vector<int>& axes,
                          int extent, Stream s) {
  std::vector<array> out;
  for (size_t i = 0; i < inputs.size(); i++) {
    out.push_back(flatten(broadcast_batch_first(inputs[i], axes[i], extent, s), 0, 1, s));
  }
  return out;
}

}  // namespace

std::vector<array> GatedDelta::apply(const std::vector<array>& inputs, Stream s) {
  auto node = std::make_shared<GatedDelta>(s);
  auto shapes = node->output_shapes(inputs);
  return array::make_arrays(std::move(shapes), {float32, float32}, node, inputs);
}

std::vector<array> GatedDelta::fallback(const std::vector<array>& inputs) const {
  auto s = stream();
  array state = inputs[5];
  std::vector<array> outputs;
  for (int t = 0; t < inputs[0].shape(1); t++) {
    Step step(inputs, t, s);
    array decayed = multiply(state, step.gate, s);
    array known = sum(multiply(decayed, step.key, s), -1, false, s);
    array delta = multiply(subtract(step.value, known, s), step.beta, s);
    array next = add(decayed, multiply(step.key, expand_dims(delta, -1, s), s), s);
    array out = sum(multiply(next, step.query, s), -1, false, s);
    if (inputs.size() == 7) {
      array seen = expand_dims(take(inputs[6], t, 1, s), {-2, -1}, s);
      out = where(seen, out, array(0.0f), s);
      next = where(expand_dims(seen, -1, s), next, state, s);
    }
    state = next;
    outputs.push_back(out);
  }
  return {outputs.empty() ? zeros(inputs[2].shape(), float32, s) : stack(outputs, 1, s), state};
}

std::pair<std::vector<array>, std::vector<int>> GatedDelta::vmap(const std::vector<array>& inputs,
                                                                 const std::vector<int>& axes) {
  auto s = stream();
  size_t mapped = 0;
  while (axes[mapped] < 0) mapped++;
  int extent = inputs[mapped].shape(axes[mapped]);
  auto outputs = apply(merged(inputs, axes, extent, s), s);
  for (auto& out : outputs) {
    out = unflatten(out, 0, {extent, extent ? out.shape(0) / extent : 0}, s);
  }
  return {outputs, {0, 0}};
}

}  // namespace mlx::core
