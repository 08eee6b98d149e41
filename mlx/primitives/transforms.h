// Nodes that exist for transforms: a traced argument, and a function with rules of its own.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "mlx/primitives/described.h"

namespace mlx::core {

/** Another node with the same value, so that a trace can tell its argument from the original. */
class Identity : public Described<Identity> {
 public:
  using Described::Described;

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "Identity"; }
  auto fields() const { return std::tie(); }
  bool is_view() const override { return true; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
};

using ArraysFn = std::function<std::vector<array>(const std::vector<array>&)>;

/** A function's own derivative and batching rules; those left out follow from the function. */
struct CustomRules {
  using Vjp = std::function<std::vector<array>(const std::vector<array>& primals,
                                               const std::vector<array>& cotangents,
                                               const std::vector<array>& outputs)>;
  using Jvp = std::function<std::vector<array>(const std::vector<array>& primals,
                                               const std::vector<array>& tangents,
                                               const std::vector<int>& argnums)>;
  using Vmap = std::function<std::pair<std::vector<array>, std::vector<int>>(
      const std::vector<array>& inputs, const std::vector<int>& axes)>;

  std::optional<Vjp> vjp;
  std::optional<Jvp> jvp;
  std::optional<Vmap> vmap;
};

/**
 * The outputs of `fun` with rules attached. Inputs are the arguments followed by what `fun` made of
 * them; the outputs share the latter's data, and derivatives reach the arguments by the rules only.
 */
class CustomTransforms : public BuiltinPrimitive {
 public:
  CustomTransforms(Stream stream, size_t arguments, ArraysFn fun, CustomRules rules)
      : BuiltinPrimitive(stream),
        arguments_(arguments),
        fun_(std::move(fun)),
        rules_(std::move(rules)) {}

  /** Applies `fun` and attaches the rules. */
  static std::vector<array> apply(const ArraysFn& fun, const CustomRules& rules,
                                  const std::vector<array>& arguments);

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "CustomTransforms"; }
  bool is_view() const override { return true; }
  size_t differentiable_inputs(size_t) const override { return arguments_; }
  size_t arguments() const { return arguments_; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

 private:
  std::vector<array> arguments_of(const std::vector<array>& inputs) const {
    return {inputs.begin(), inputs.begin() + arguments_};
  }
  CustomRules batched_rules() const;

  size_t arguments_;
  ArraysFn fun_;
  CustomRules rules_;
};

}  // namespace mlx::core
