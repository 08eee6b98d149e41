// Which kernels a primitive will take, told before it runs so that they are compiled meanwhile:
// files of families enter what tells it beside what runs.
#pragma once

#include <typeinfo>
#include <vector>

#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/primitives.h"

namespace mlx::core::cuda {

using Foresight = void (*)(const Primitive&, const std::vector<array>& inputs,
                           const std::vector<array>& outputs);

/** Enters the function of the primitives whose type has this number. */
void enter_foresight(size_t type_number, Foresight foresight);

/** One static object of this kind per primitive: `const Foresees<Norm> norm_ahead(foresee_norm);`.
 *  Inputs that are still to be made have a layout, but no data; outputs have neither. */
template <typename P>
class Foresees {
 public:
  using Function = void (*)(const P&, const std::vector<array>& inputs,
                            const std::vector<array>& outputs);

  explicit Foresees(Function function) {
    function_ = function;
    enter_foresight(detail::type_number(typeid(P)), run);
  }

 private:
  static void run(const Primitive& primitive, const std::vector<array>& inputs,
                  const std::vector<array>& outputs) {
    function_(static_cast<const P&>(primitive), inputs, outputs);
  }

  inline static Function function_ = nullptr;
};

/** Has kernels compiled that the primitive will take. Only ever saves time. */
void foresee(const Primitive& primitive, const std::vector<array>& inputs,
             const std::vector<array>& outputs) noexcept;

/** Has the kernel compiled soon if it was not so far. */
void foresee_kernel(const KernelCall& call, const Stream& s) noexcept;

}  // namespace mlx::core::cuda
