// What the evaluator makes of several element-wise nodes: one program over tiles. It exists only in
// plans, never in the graphs that transforms see.
#pragma once

#include "mlx/core/program.h"
#include "mlx/primitives.h"

namespace mlx::core {

class Fused : public BuiltinPrimitive {
 public:
  Fused(Stream stream, Program program) : BuiltinPrimitive(stream), program_(std::move(program)) {}

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  const char* name() const override { return "Fused"; }
  const Program& program() const { return program_; }

 private:
  Program program_;
};

}  // namespace mlx::core
