// Derivatives, batching and the plain form of recurrent loops.
#include "mlx/primitives/recurrent.h"

#include <optional>

#include "mlx/ops.h"
#include "mlx/primitives/rearrange.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

array wide(const array& x, Stream s) { return x.dtype().size() < 4 ? astype(x, float32, s) : x; }

array step_of(const array& sequence, int t, Stream s) {
  return take(sequence, t, static_cast<int>(sequence.ndim()) - 2, s);
}

/** One step as plain ops. */
struct PlainStep {
  Stream s;

  struct Result {
    array hidden;
    std::optional<array> cell, kept;
  };

  Result lstm(const array& gates, const std::optional<array>& cell) const {
    auto parts = split(gates, 4, -1, s);
    array entry = sigmoid(parts[0], s), forget = sigmoid(parts[1], s);
    array candidate = tanh(parts[2], s), output = sigmoid(parts[3], s);
    array now = multiply(entry, candidate, s);
    if (cell) now = add(multiply(forget, *cell, s), now, s);
    return {multiply(output, tanh(now, s), s), now,
            concatenate({entry, forget, candidate, output}, -1, s)};
  }

  /** `recurrent` is Un h + bhn. */
  Result gru(const array& gates, const array& candidate_sum, const array& recurrent,
             const std::optional<array>& hidden) const {
    auto parts = split(sigmoid(gates, s), 2, -1, s);
    array candidate = tanh(add(candidate_sum, multiply(parts[0], recurrent, s), s), s);
    array now = multiply(subtract(array(1, gates.dtype()), parts[1], s), candidate, s);
    if (hidden) now = add(now, multiply(parts[1], *hidden, s), s);
    return {now, std::nullopt, concatenate({parts[0], parts[1], candidate, recurrent}, -1, s)};
  }

  Result rnn(const array& sum, bool is_tanh) const {
    return {is_tanh ? tanh(sum, s) : maximum(sum, array(0, sum.dtype()), s), {}, {}};
  }
};

/** The whole loop as plain ops. */
class PlainLoop {
 public:
  PlainLoop(const RecurrentSpec& spec, const std::vector<array>& inputs, Stream s)
      : spec_(spec),
        s_(s),
        projections_(wide(inputs[0], s)),
        weight_(transpose(wide(inputs[1], s), s)) {
    auto at = RecurrentBackward::inputs_of(spec);
    auto input = [&](int position) {
      return position < 0 ? std::nullopt : std::optional<array>(wide(inputs[position], s));
    };
    bias_ = input(at.bias);
    hidden_ = input(at.hidden);
    cell_ = input(at.cell);
  }

  /** The outputs of Recurrent, of these shapes. `addends` (..., L, H), if given, go to the GRU's
   *  Un h + bhn of each step. */
  std::vector<array> run(const std::vector<Shape>& shapes, Dtype dtype,
                         const std::optional<array>& addends = std::nullopt) {
    std::vector<std::vector<array>> steps(shapes.size());
    for (int t = 0; t < projections_.shape(-2); t++) {
      auto now = step(t, addends);
      size_t k = 0;
      for (const std::optional<array>& value : {std::optional(now.hidden), now.cell, now.kept}) {
        if (value) steps[k++].push_back(astype(*value, dtype, s_));
      }
      hidden_ = wide(steps[0].back(), s_);
      if (now.cell) cell_ = wide(steps[1].back(), s_);
    }
    std::vector<array> outputs;
    for (size_t k = 0; k < shapes.size(); k++) {
      outputs.push_back(steps[k].empty() ? zeros(shapes[k], dtype, s_) : stack(steps[k], -2, s_));
    }
    return outputs;
  }

 private:
  PlainStep::Result step(int t, const std::optional<array>& addends) const {
    PlainStep plain{s_};
    array sum = step_of(projections_, t, s_);
    std::optional<array> product;
    if (hidden_) product = matmul(*hidden_, weight_, s_);
    if (spec_.kind != RecurrentSpec::Gru) {
      if (product) sum = add(sum, *product, s_);
      return spec_.kind == RecurrentSpec::Lstm
                 ? plain.lstm(sum, cell_)
                 : plain.rnn(sum, spec_.kind == RecurrentSpec::RnnTanh);
    }
    int size = weight_.shape(0);
    array gates = part(sum, 0, 2 * size), candidate = part(sum, 2 * size, 3 * size);
    array recurrent = zeros_like(candidate, s_);
    if (product) {
      gates = add(gates, part(*product, 0, 2 * size), s_);
      recurrent = part(*product, 2 * size, 3 * size);
    }
    if (bias_) recurrent = add(recurrent, *bias_, s_);
    if (addends) recurrent = add(recurrent, step_of(*addends, t, s_), s_);
    return plain.gru(gates, candidate, recurrent, hidden_);
  }

  array part(const array& a, int begin, int end) const {
    Shape from(a.ndim(), 0), to = a.shape();
    from.back() = begin;
    to.back() = end;
    return slice(a, from, to, s_);
  }

  const RecurrentSpec& spec_;
  Stream s_;
  array projections_, weight_;
  std::optional<array> bias_, hidden_, cell_;
};

/** The states before each step: the one to start from, then all but the last. */
array states_before(const std::optional<array>& first, const array& states, Stream s) {
  int axis = static_cast<int>(states.ndim()) - 2;
  Shape begin(states.ndim(), 0), end = states.shape();
  if (end[axis] == 0) return states;
  end[axis] -= 1;
  array others = slice(states, begin, end, s);
  end[axis] = 1;
  array start = first ? expand_dims(*first, axis, s) : zeros(end, states.dtype(), s);
  return concatenate({start, others}, axis, s);
}

/** All rows of `a`, whatever leading axes they have. */
array as_rows(const array& a, Stream s) { return flatten(a, 0, -2, s); }

/** The outputs of `node`, batched over the axes in front of all inputs but the parameters. */
std::pair<std::vector<array>, std::vector<int>> run_batched(const std::shared_ptr<Primitive>& node,
                                                            const RecurrentSpec& spec,
                                                            const std::vector<array>& inputs,
                                                            const std::vector<int>& axes) {
  auto batched = all_batch_first(inputs, axes, batch_extent(inputs, axes), node->stream());
  batched[1] = inputs[1];  // weight and bias, which all share
  if (spec.has_bias) batched[2] = inputs[2];
  auto shapes = node->output_shapes(batched);
  auto outputs = array::make_arrays(shapes, std::vector<Dtype>(shapes.size(), inputs[0].dtype()),
                                    node, batched);
  return {outputs, std::vector<int>(outputs.size(), 0)};
}

std::vector<Shape> output_shapes_of(const RecurrentSpec& spec, const std::vector<array>& inputs) {
  Shape shape = inputs[0].shape();
  shape.back() = inputs[1].shape(1);
  std::vector<Shape> shapes(1 + spec.has_cells(), shape);
  if (spec.kept()) {
    shape.back() *= spec.kept();
    shapes.push_back(shape);
  }
  return shapes;
}

bool has_own_parameters(const RecurrentSpec& spec, const std::vector<int>& axes) {
  return axes[1] >= 0 || (spec.has_bias && axes[2] >= 0);
}

std::optional<array> optional_input(const std::vector<array>& inputs, int position) {
  return position < 0 ? std::nullopt : std::optional<array>(inputs[position]);
}

}  // namespace

std::vector<array> Recurrent::fallback(const std::vector<array>& inputs) const {
  return PlainLoop(spec_, inputs, stream()).run(output_shapes_of(spec_, inputs), inputs[0].dtype());
}

std::vector<array> Recurrent::vjp(const std::vector<array>& primals,
                                  const std::vector<array>& cotangents,
                                  const std::vector<int>& argnums,
                                  const std::vector<array>& outputs) {
  Stream s = stream();
  auto node = std::make_shared<RecurrentBackward>(s, spec_);
  auto at = RecurrentBackward::inputs_of(spec_);
  auto inputs = primals;
  inputs.insert(inputs.end(), cotangents.begin(), cotangents.begin() + 1 + spec_.has_cells());
  inputs.insert(inputs.end(), outputs.begin(), outputs.end());
  auto shapes = node->output_shapes(inputs);
  auto all = array::make_arrays(shapes, std::vector<Dtype>(shapes.size(), primals[0].dtype()), node,
                                inputs);
  bool is_gru = spec_.kind == RecurrentSpec::Gru;
  std::vector<array> grads;
  for (int i : argnums) {
    if (i == at.projections) {
      grads.push_back(all[0]);
    } else if (i == at.weight) {
      array steps = as_rows(all[0], s);
      if (is_gru) {
        steps = concatenate({slice(steps, {0, 0}, {steps.shape(0), 2 * outputs[0].shape(-1)}, s),
                             as_rows(all[1], s)},
                            -1, s);
      }
      array before = states_before(optional_input(primals, at.hidden), outputs[0], s);
      grads.push_back(matmul(transpose(steps, s), as_rows(before, s), s));
    } else if (i == at.bias) {
      grads.push_back(sum(as_rows(all[1], s), 0, false, s));
    } else {
      grads.push_back(all[1 + is_gru + (i == at.cell && spec_.has_hidden)]);
    }
  }
  return grads;
}

std::pair<std::vector<array>, std::vector<int>> Recurrent::vmap(const std::vector<array>& inputs,
                                                                const std::vector<int>& axes) {
  if (has_own_parameters(spec_, axes)) return FallbackPrimitive::vmap(inputs, axes);
  return run_batched(std::make_shared<Recurrent>(stream(), spec_), spec_, inputs, axes);
}

std::vector<Shape> Recurrent::output_shapes(const std::vector<array>& inputs) {
  return output_shapes_of(spec_, inputs);
}

bool Recurrent::leave_unread(std::vector<array>& outputs) const {
  array& kept = outputs.back();
  if (!spec_.kept() || kept.use_count() > 1) return false;
  kept.set_data(allocator::malloc(0), 0, kept.strides(), kept.flags());
  return true;
}

RecurrentBackward::Inputs RecurrentBackward::inputs_of(const RecurrentSpec& spec) {
  int next = 0;
  auto place = [&](bool there) { return there ? next++ : -1; };
  Inputs at;
  at.projections = place(true);
  at.weight = place(true);
  at.bias = place(spec.has_bias);
  at.hidden = place(spec.has_hidden);
  at.cell = place(spec.has_cell);
  at.hidden_cotangent = place(true);
  at.cell_cotangent = place(spec.has_cells());
  at.hiddens = place(true);
  at.cells = place(spec.has_cells());
  at.kept = place(spec.kept() > 0);
  at.count = next;
  return at;
}

size_t RecurrentBackward::differentiable_inputs(size_t) const {
  return static_cast<size_t>(inputs_of(spec_).hiddens);
}

std::vector<array> RecurrentBackward::fallback(const std::vector<array>& inputs) const {
  Stream s = stream();
  auto at = inputs_of(spec_);
  std::vector<array> primals(inputs.begin(), inputs.begin() + at.hidden_cotangent);
  std::vector<array> cotangents(inputs.begin() + at.hidden_cotangent, inputs.begin() + at.hiddens);
  auto shapes = output_shapes_of(spec_, inputs);
  bool is_gru = spec_.kind == RecurrentSpec::Gru;

  std::vector<int> positions{at.projections};
  std::vector<array> arguments{inputs[0]};
  if (is_gru) arguments.push_back(zeros(shapes[0], inputs[0].dtype(), s));
  for (int position : {at.hidden, at.cell}) {
    if (position < 0) continue;
    positions.push_back(position);
    arguments.push_back(inputs[position]);
  }
  auto states = [&](const std::vector<array>& now) {
    auto all = primals;
    size_t next = 0;
    std::optional<array> addends;
    for (int position : positions) {
      all[position] = now[next++];
      if (next == 1 && is_gru) addends = now[next++];
    }
    auto outputs = PlainLoop(spec_, all, s).run(shapes, inputs[0].dtype(), addends);
    outputs.resize(cotangents.size(), outputs[0]);
    return outputs;
  };
  return core::vjp(states, arguments, cotangents).second;
}

std::pair<std::vector<array>, std::vector<int>> RecurrentBackward::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  if (has_own_parameters(spec_, axes)) return FallbackPrimitive::vmap(inputs, axes);
  return run_batched(std::make_shared<RecurrentBackward>(stream(), spec_), spec_, inputs, axes);
}

std::vector<Shape> RecurrentBackward::output_shapes(const std::vector<array>& inputs) {
  auto at = inputs_of(spec_);
  std::vector<Shape> shapes{inputs[0].shape()};
  if (spec_.kind == RecurrentSpec::Gru) shapes.push_back(inputs[at.hidden_cotangent].shape());
  for (int position : {at.hidden, at.cell}) {
    if (position >= 0) shapes.push_back(inputs[position].shape());
  }
  return shapes;
}

}  // namespace mlx::core
