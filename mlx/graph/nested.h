// Evaluation within a step: primitives that hold graphs run them on their stream, one plan after
// another.
#pragma once

#include <vector>

#include "mlx/primitives.h"

namespace mlx::core {

/** A primitive whose work is graphs of its own. It may take any time, so it never runs in a thread
 *  that waits for it. */
class NestedPrimitive : public Primitive {
 public:
  using Primitive::Primitive;

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) final {
    run(inputs, outputs);
  }
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) final {
    run(inputs, outputs);
  }

 protected:
  /** The values of the outputs, each computed or queued by `evaluate_within`, or an input. */
  virtual std::vector<array> compute(const std::vector<array>& inputs) = 0;

 private:
  void run(const std::vector<array>& inputs, std::vector<array>& outputs);
};

namespace detail {

/** Evaluates a graph on the stream `own` in the midst of one of its steps, by the thread that runs
 *  it. Throws the failure of any of the arrays. */
void evaluate_within(const std::vector<array>& outputs, const Stream& own);

bool is_nested(const Primitive& primitive);

}  // namespace detail

}  // namespace mlx::core
