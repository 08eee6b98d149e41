// What planning makes of several nodes: a program over tiles, alone, in front of another node, or
// behind it. It exists only in plans, never in the graphs that transforms see.
#pragma once

#include <memory>
#include <vector>

#include "mlx/core/program.h"
#include "mlx/primitives.h"

namespace mlx::core {

/** How a fused step is put together: prologue program, root, epilogue program. Each but one may be
 *  missing; a program that is missing has no code. */
struct Recipe {
  /** Its last output is the first input of the root, if there is one. */
  Program prologue;
  /** Which inputs of the prologue are keys, whose words it makes itself (see RandomBits); an empty
   *  list is none of them. */
  std::vector<bool> generated;
  /** Whether the prologue's outputs are results of the step, or never stored. */
  bool keeps_prologue = true;
  /** Its input 0 is the first result of the root, which is not stored. */
  Program epilogue;

  bool has_prologue() const { return !prologue.outputs.empty(); }
  bool has_epilogue() const { return !epilogue.outputs.empty(); }
};

/**
 * Inputs: those of the prologue, those of the root without the one that the prologue makes, those
 * of the epilogue after its first. Outputs: those of the prologue if kept, then those of the
 * epilogue or, without one, the first of the root, then the others of the root.
 */
class Fused : public BuiltinPrimitive {
 public:
  /** `root` may be nullptr; `shape` is that of what the prologue computes. */
  Fused(Stream stream, std::shared_ptr<const Recipe> recipe, std::shared_ptr<Primitive> root,
        Shape shape)
      : BuiltinPrimitive(stream),
        recipe_(std::move(recipe)),
        root_(std::move(root)),
        shape_(std::move(shape)) {}

  const char* name() const override { return "Fused"; }
  size_t type_number() const override {
    static const size_t number = detail::type_number(typeid(Fused));
    return number;
  }

  const Recipe& recipe() const { return *recipe_; }
  bool has_root() const { return root_ != nullptr; }
  Primitive& root() const { return *root_; }
  const Shape& shape() const { return shape_; }

 private:
  std::shared_ptr<const Recipe> recipe_;
  std::shared_ptr<Primitive> root_;
  Shape shape_;
};

}  // namespace mlx::core
