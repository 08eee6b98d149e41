// The nodes of control flow, and what their rules are made of. Inputs of the graphs are those of
// the node in its order: arguments, then what the functions captured.
#pragma once

#include <utility>
#include <vector>

#include "mlx/graph/nested.h"
#include "mlx/transforms/subgraph.h"

namespace mlx::core {

class ControlPrimitive : public NestedPrimitive {
 public:
  using Arrays = std::vector<array>;
  using Ints = std::vector<int>;
  using Mapped = std::pair<Arrays, Ints>;
  using Graphs = std::vector<detail::SubgraphPtr>;

  ControlPrimitive(Stream stream, Graphs graphs)
      : NestedPrimitive(stream), graphs_(std::move(graphs)) {}

  const Graphs& graphs() const { return graphs_; }
  bool is_equivalent(const Primitive& other) const override;

 protected:
  /** Evaluates inside the step. */
  void evaluate(const Arrays& arrays) const { detail::evaluate_within(arrays, stream()); }

  Graphs graphs_;
};

/** Inputs: those of both graphs, the one for true first, then the predicate, one element. */
class Cond : public ControlPrimitive {
 public:
  using ControlPrimitive::ControlPrimitive;

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "Cond"; }
  auto fields() const { return std::tie(); }
  size_t differentiable_inputs(size_t inputs) const override { return inputs - 1; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

 protected:
  Arrays compute(const Arrays& inputs) override;

 private:
  Mapped choose(const Arrays& inputs, const Ints& axes) const;
};

/** Graphs: the condition, then the body. Inputs: as many values as the body has outputs, then what
 *  was captured. */
class While : public ControlPrimitive {
 public:
  using ControlPrimitive::ControlPrimitive;

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "While"; }
  auto fields() const { return std::tie(); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

 protected:
  Arrays compute(const Arrays& inputs) override;

 private:
  size_t carried() const { return graphs_[1]->shapes().size(); }
};

/** How a scan's inputs and outputs are told apart. */
struct ScanSpec {
  int carried, scanned;  // inputs: the carry, arrays along whose first axis it goes, captured ones
  int length;
  bool reverse;

  auto fields() const { return std::tie(carried, scanned, length, reverse); }
};

/** The graph: one turn. Outputs: the last carry, then what turns gave, stacked. */
class ScanLoop : public ControlPrimitive {
 public:
  ScanLoop(Stream stream, ScanSpec spec, Graphs graphs)
      : ControlPrimitive(stream, std::move(graphs)), spec_(spec) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "ScanLoop"; }
  auto fields() const { return std::tie(spec_); }
  bool is_equivalent(const Primitive& other) const override;
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const ScanSpec& spec() const { return spec_; }

 protected:
  Arrays compute(const Arrays& inputs) override;

 private:
  /** Inputs of the node, or what belongs to them, by their parts. */
  template <typename T>
  struct Parts {
    std::vector<T> carry, xs, captured;
  };
  template <typename T>
  Parts<T> parts(const std::vector<T>& all) const {
    auto middle = all.begin() + spec_.carried, end = middle + spec_.scanned;
    return {{all.begin(), middle}, {middle, end}, {end, all.end()}};
  }

  ScanSpec spec_;
};

namespace detail {

/** `a` and then all others. */
std::vector<array> joined(std::vector<array> a, const std::vector<array>& b);

/** Whether the one element of `flag` is not 0; waits for it. */
bool read_flag(const array& flag, const Stream& s);

}  // namespace detail

}  // namespace mlx::core
