// Which function runs a primitive on the GPU, by the primitive's type. Each file enters its own.
#pragma once

#include <typeinfo>
#include <vector>

#include "mlx/primitives.h"

namespace mlx::core::cuda {

using EvalFn = void (*)(Primitive&, const std::vector<array>&, std::vector<array>&);

using SupportsFn = bool (*)(const Primitive&, const std::vector<array>&);

/** `supports` says which nodes of the type the function runs; nullptr means all. */
void register_primitive(const std::type_info& type, EvalFn eval, SupportsFn supports);

/** Whether there is a function for this node. */
bool is_registered(const Primitive& primitive, const std::vector<array>& inputs);

/** Runs the primitive; returns false where there is no function for its type. */
bool run_registered(Primitive& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs);

/** One static object of this kind per primitive: `const Register<Arange> arange(eval_arange);` */
template <typename P>
class Register {
 public:
  using Function = void (*)(P&, const std::vector<array>&, std::vector<array>&);
  using Supports = bool (*)(const P&, const std::vector<array>&);
  explicit Register(Function f, Supports supports = nullptr) {
    function_ = f;
    supports_ = supports;
    register_primitive(typeid(P), eval, supports ? ask : nullptr);
  }

 private:
  static void eval(Primitive& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
    function_(static_cast<P&>(p), inputs, outputs);
  }
  static bool ask(const Primitive& p, const std::vector<array>& inputs) {
    return supports_(static_cast<const P&>(p), inputs);
  }

  inline static Function function_ = nullptr;
  inline static Supports supports_ = nullptr;
};

}  // namespace mlx::core::cuda
