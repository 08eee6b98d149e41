// What the evaluator makes of several nodes: a program over tiles, alone or as the source of a
// reduction, and a product with what is done to its result. They exist only in plans, never in the
// graphs that transforms see.
#pragma once

#include "mlx/core/program.h"
#include "mlx/primitives.h"

namespace mlx::core {

class Fused : public BuiltinPrimitive {
 public:
  /** The values of input i are its elements, or where `generated` says so, the words that it makes
   *  as a key (see RandomBits); an empty list is no such input. Only GPUs run these. */
  Fused(Stream stream, Program program, std::vector<bool> generated = {})
      : BuiltinPrimitive(stream), program_(std::move(program)), generated_(std::move(generated)) {}

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  const char* name() const override { return "Fused"; }
  const Program& program() const { return program_; }
  const std::vector<bool>& generated() const { return generated_; }

 private:
  Program program_;
  std::vector<bool> generated_;
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

/** A product whose results below zero become zero. Only GPUs run it. */
class RectifiedProduct : public BuiltinPrimitive {
 public:
  /** `product` is a Matmul or an AddMM. */
  RectifiedProduct(Stream stream, std::shared_ptr<Primitive> product)
      : BuiltinPrimitive(stream), product_(std::move(product)) {}

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  const char* name() const override { return "RectifiedProduct"; }
  Primitive& product() const { return *product_; }

 private:
  std::shared_ptr<Primitive> product_;
};

}  // namespace mlx::core
