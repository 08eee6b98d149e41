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

  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;

 private:
  /** The fallback as a function of the inputs in `argnums` alone. */
  std::vector<array> with_arguments(std::vector<array> inputs, const std::vector<int>& argnums,
                                    const std::vector<array>& arguments) const;
};

}  // namespace mlx::core
