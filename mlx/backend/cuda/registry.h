// Which function runs a primitive on the GPU, by the primitive's type. Each file enters its own.
#pragma once

#include <typeinfo>
#include <vector>

#include "mlx/primitives.h"

namespace mlx::core::cuda {

using EvalFn = void (*)(Primitive&, const std::vector<array>&, std::vector<array>&);

void register_primitive(const std::type_info& type, EvalFn function);

/** Runs the primitive; returns false where there is no function for its type. */
bool run_registered(Primitive& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs);

/** One static object of this kind per primitive: `const Register<Arange> arange(eval_arange);` */
template <typename P>
class Register {
 public:
  using Function = void (*)(P&, const std::vector<array>&, std::vector<array>&);
  explicit Register(Function f) {
    function_ = f;
    register_primitive(
        typeid(P), [](Primitive& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
          function_(static_cast<P&>(p), inputs, outputs);
        });
  }

 private:
  inline static Function function_ = nullptr;
};

}  // namespace mlx::core::cuda
