// The loop of a recurrent layer over its sequence as one node, forward and backward. The products
// with the inputs are taken before, for all steps at once; the node does what each step needs of
// the one before.
#pragma once

#include <tuple>

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

struct RecurrentSpec {
  enum Kind : uint8_t { Lstm, Gru, RnnTanh, RnnRelu };
  Kind kind;
  bool has_bias;    // of the hidden side of the GRU's candidate
  bool has_hidden;  // a state to start from; none stands for zeros
  bool has_cell;

  /** Rows of the recurrent weights per unit. */
  int gates() const { return kind == Lstm ? 4 : kind == Gru ? 3 : 1; }
  /** Values per unit and step that the backward needs besides the states. */
  int kept() const { return kind == Lstm || kind == Gru ? 4 : 0; }
  bool has_cells() const { return kind == Lstm; }

  auto fields() const { return std::tie(kind, has_bias, has_hidden, has_cell); }
  bool operator==(const RecurrentSpec& other) const { return fields() == other.fields(); }
};

/**
 * Inputs, all of one floating dtype: projections (..., L, gates H), weight (gates H, H), then as
 * there are bias (H), hidden (..., H), cell (..., H). Outputs: hidden states (..., L, H), the
 * LSTM's cell states (..., L, H), and what the backward needs (..., L, 4 H), which is left without
 * values where nobody holds it: i, f, g, o of the LSTM; r, z, n and Un h + bhn of the GRU.
 *
 * Half types compute a step in float32 and round the states once per step, so that a step starts
 * from the states that it returns.
 */
class Recurrent : public Described<Recurrent, FallbackPrimitive> {
 public:
  Recurrent(Stream stream, RecurrentSpec spec) : Described(stream), spec_(spec) {}

  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "Recurrent"; }
  auto fields() const { return std::tie(spec_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const RecurrentSpec& spec() const { return spec_; }

  /** For backends: whether the last output is what the backward needs and nobody holds it. It is
   *  given no memory then. */
  bool leave_unread(std::vector<array>& outputs) const;

 private:
  RecurrentSpec spec_;
};

/**
 * Inputs: those of Recurrent, the cotangents of its states, then its outputs, which no derivative
 * flows through: derivatives of the backward start from the inputs again. Outputs: gradients of the
 * projections, of the GRU's Un h + bhn (..., L, H), and of hidden and cell, as there are. What the
 * gradients of weight and bias are follows by one product and one sum over all steps.
 */
class RecurrentBackward : public Described<RecurrentBackward, FallbackPrimitive> {
 public:
  RecurrentBackward(Stream stream, RecurrentSpec spec) : Described(stream), spec_(spec) {}

  /** The inputs by name; positions of what is not there are -1. */
  struct Inputs {
    int projections, weight, bias, hidden, cell;
    int hidden_cotangent, cell_cotangent;
    int hiddens, cells, kept;
    int count;
  };
  static Inputs inputs_of(const RecurrentSpec& spec);

  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "RecurrentBackward"; }
  auto fields() const { return std::tie(spec_); }
  size_t differentiable_inputs(size_t) const override;
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const RecurrentSpec& spec() const { return spec_; }

 private:
  RecurrentSpec spec_;
};

}  // namespace mlx::core
