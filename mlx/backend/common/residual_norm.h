// Norms behind the sum that makes their input, as one step: rows are added, stored and normalised
// while they are at hand.
#pragma once

#include <typeinfo>

#include "mlx/core/program.h"
#include "mlx/primitives/fused.h"
#include "mlx/primitives/norm.h"

namespace mlx::core {

/** Whether `root` is a norm and `program` the sum of two arrays of one floating dtype. */
inline bool is_residual_norm(const Primitive& root, const Program& program) {
  return typeid(root) == typeid(Norm) && program.code.size() == 1 && program.inputs.size() == 2 &&
         program.outputs.size() == 1 && program.code[0].op == ElementwiseOp::Add;
}

/** The arrays of such a step. */
struct ResidualNorm {
  ResidualNorm(Fused& step, const std::vector<array>& inputs, std::vector<array>& outputs)
      : spec(static_cast<const Norm&>(step.root()).spec()),
        x(inputs[0]),
        residual(inputs[1]),
        parameters(inputs.begin() + 2, inputs.end()),
        sum(step.recipe().keeps_prologue ? outputs[0]
                                         : array(step.shape(), inputs[0].dtype(), nullptr, {})),
        out(outputs.back()) {}

  /** Whether neither broadcasts; otherwise the sum is a step before the norm. */
  bool adds_rows() const {
    return x.shape() == sum.shape() && residual.shape() == sum.shape() && sum.size() > 0;
  }
  /** What the norm alone reads. */
  std::vector<array> norm_inputs() const {
    std::vector<array> all{sum};
    all.insert(all.end(), parameters.begin(), parameters.end());
    return all;
  }

  const NormSpec& spec;
  const array &x, &residual;
  std::vector<array> parameters;  // weight and bias, as the spec says
  array sum;
  array& out;
};

}  // namespace mlx::core
