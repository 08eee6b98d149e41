// The loop of recurrent layers: checks, dtype rules and common leading axes.
#include "mlx/ops/recurrent.h"

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/primitives/recurrent.h"

namespace mlx::core::detail {

namespace {

constexpr const char* op = "recurrent";

RecurrentSpec::Kind kind_of(const std::string& name) {
  if (name == "lstm") return RecurrentSpec::Lstm;
  if (name == "gru") return RecurrentSpec::Gru;
  if (name == "rnn_tanh") return RecurrentSpec::RnnTanh;
  check(name == "rnn_relu", op, "unknown kind '", name, "'.");
  return RecurrentSpec::RnnRelu;
}

void check_state(const char* what, const std::optional<array>& state, const Shape& weight) {
  check(!state || (state->ndim() > 0 && state->shape(-1) == weight[1]), op, what,
        " must have shape (..., ", weight.back(), "), not ", state ? state->shape() : Shape{}, ".");
}

/** `a` with its own last `kept` axes behind the leading axes. */
array with_leading(const array& a, Shape leading, int kept, Stream s) {
  leading.insert(leading.end(), a.shape().end() - kept, a.shape().end());
  return broadcast_to(a, leading, s);
}

Shape leading_of(const array& a, int rest) {
  return Shape(a.shape().begin(), a.shape().end() - rest);
}

}  // namespace

std::vector<array> recurrent(const std::string& kind, const array& projections, const array& weight,
                             const std::optional<array>& bias, const std::optional<array>& hidden,
                             const std::optional<array>& cell, StreamOrDevice s) {
  RecurrentSpec spec{kind_of(kind), bias.has_value(), hidden.has_value(), cell.has_value()};
  const Shape& w = weight.shape();
  check(w.size() == 2 && w[0] == spec.gates() * w[1], op, "the weight of a ", kind,
        " must have shape (", spec.gates(), " H, H), not ", w, ".");
  check(projections.ndim() >= 2 && projections.shape(-1) == w[0], op,
        "projections must have shape (..., L, ", w[0], ") for a weight of shape ", w, ", not ",
        projections.shape(), ".");
  check(!bias || (spec.kind == RecurrentSpec::Gru && bias->shape() == Shape{w[1]}), op,
        "only a gru takes a bias, of shape (", w[1], ").");
  check(!cell || spec.has_cells(), op, "only an lstm takes a cell state.");
  check_state("the hidden state", hidden, w);
  check_state("the cell state", cell, w);

  Stream stream = to_stream(s);
  Dtype dtype = promote_types(projections.dtype(), weight.dtype());
  Shape leading = leading_of(projections, 2);
  for (const auto* state : {&hidden, &cell}) {
    if (*state) leading = broadcast_shapes(leading, leading_of(**state, 1));
  }
  for (const auto* other : {&bias, &hidden, &cell}) {
    if (*other) dtype = promote_types(dtype, (*other)->dtype());
  }
  check(issubdtype(dtype, floating), op, "needs a floating dtype but got ", dtype_name(dtype), ".");

  std::vector<array> inputs{astype(with_leading(projections, leading, 2, stream), dtype, stream),
                            astype(weight, dtype, stream)};
  if (bias) inputs.push_back(astype(*bias, dtype, stream));
  for (const auto* state : {&hidden, &cell}) {
    if (*state) inputs.push_back(astype(with_leading(**state, leading, 1, stream), dtype, stream));
  }
  auto node = std::make_shared<Recurrent>(stream, spec);
  auto shapes = node->output_shapes(inputs);
  auto outputs = array::make_arrays(shapes, std::vector<Dtype>(shapes.size(), dtype), node, inputs);
  outputs.resize(1 + spec.has_cells(), outputs[0]);
  return outputs;
}

}  // namespace mlx::core::detail
