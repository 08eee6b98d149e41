// Nodes that exist for transforms: a traced argument, and a function with rules of its own.
#pragma once

#include <functional>
#include <memory>
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

/** A function and its rules. Its address does not change. */
struct CustomCall {
  ArraysFn fun;
  CustomRules rules;
  /** Keeps what `fun` and the rules call, if they are another one's batched form. */
  std::shared_ptr<const void> inner;
};

/**
 * What keeps a call for one who lasts: a recording, or a batched form. It is not to be shared, so
 * that whoever collects cycles of a language's objects sees each holder of a call. The call itself,
 * unless the language's bindings set something else.
 */
std::shared_ptr<const void> keep_call(const std::shared_ptr<const CustomCall>& call);

using CallKeeper = std::shared_ptr<const void> (*)(const std::shared_ptr<const CustomCall>& call);
void set_call_keeper(CallKeeper keeper);

/**
 * The outputs of a function with rules attached. Inputs are the arguments followed by what the
 * function made of them; the outputs share the latter's data, and derivatives reach the arguments
 * by the rules only. Rules are of use to transforms alone, so nodes exist only within traces, and
 * the call ends with the outermost of them unless a recording keeps it: graphs that are kept hold
 * no functions, which may hold these graphs.
 */
class CustomTransforms : public BuiltinPrimitive {
 public:
  CustomTransforms(Stream stream, size_t arguments, std::weak_ptr<const CustomCall> call)
      : BuiltinPrimitive(stream), arguments_(arguments), call_(std::move(call)) {}

  /** Calls the function, and attaches the rules within a trace. */
  static std::vector<array> apply(const std::shared_ptr<const CustomCall>& call,
                                  const std::vector<array>& arguments);

  /** nullptr when all traces that the node was part of have ended. */
  std::shared_ptr<const CustomCall> call() const { return call_.lock(); }

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
  std::shared_ptr<const CustomCall> call_in_trace() const;

  size_t arguments_;
  std::weak_ptr<const CustomCall> call_;
};

/** The call behind a node's primitive; nullptr for primitives of other types. */
std::shared_ptr<const CustomCall> call_of(const Primitive& primitive);

}  // namespace mlx::core
