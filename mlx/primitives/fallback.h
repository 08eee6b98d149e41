// A fused primitive carries a fallback: the same function made of plain ops. Every transform that
// it has no rule of its own for goes through that.
#pragma once

#include "mlx/primitives.h"

namespace mlx::core {

class FallbackPrimitive : public BuiltinPrimitive {
 public:
  using BuiltinPrimitive::BuiltinPrimitive;

  /** The outputs for `inputs`, by plain ops. */
  virtual std::vector<array> fallback(const std::vector<array>& inputs) const = 0;

  const FallbackPrimitive* plain_form() const final { return this; }

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;

 private:
  /** The fallback as a function of the inputs in `argnums` alone. */
  std::vector<array> with_arguments(std::vector<array> inputs, const std::vector<int>& argnums,
                                    const std::vector<array>& arguments) const;
};

}  // namespace mlx::core
