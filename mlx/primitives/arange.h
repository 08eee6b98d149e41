// The node that counts.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/rearrange.h"

namespace mlx::core {

/** start + i * step. Integer dtypes count in integers, from both truncated; the others are computed
 *  in double and rounded once. */
class Arange : public BuiltinPrimitive {
 public:
  Arange(Stream s, double start, double step) : BuiltinPrimitive(s), start_(start), step_(step) {}
  const char* name() const override { return "Arange"; }
  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  bool is_equivalent(const Primitive& other) const override {
    // The number of elements is the output's shape, which whoever compares nodes compares too.
    auto o = same_type<Arange>(other);
    return o && o->start_ == start_ && o->step_ == step_;
  }
  double start() const { return start_; }
  double step() const { return step_; }

 private:
  double start_;
  double step_;
};

}  // namespace mlx::core
