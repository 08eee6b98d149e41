// What the evaluator makes of several nodes: a program over tiles, alone or as the source of a
// reduction. They exist only in plans, never in the graphs that transforms see.
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

/** A reduction of what a program computes: the values of shape `shape` never reach memory. */
class FusedReduce : public BuiltinPrimitive {
 public:
  /** `reduce` is a Reduce. */
  FusedReduce(Stream stream, Program program, Shape shape, std::shared_ptr<Primitive> reduce)
      : BuiltinPrimitive(stream),
        program_(std::move(program)),
        shape_(std::move(shape)),
        reduce_(std::move(reduce)) {}

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  const char* name() const override { return "FusedReduce"; }
  const Program& program() const { return program_; }
  const Shape& shape() const { return shape_; }
  Primitive& reduce() const { return *reduce_; }

 private:
  Program program_;
  Shape shape_;
  std::shared_ptr<Primitive> reduce_;
};

}  // namespace mlx::core
