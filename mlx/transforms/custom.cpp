// custom_function, custom_vjp and checkpoint: functions with derivative rules of their own.
#include "mlx/ops.h"
#include "mlx/primitives/transforms.h"
#include "mlx/transforms.h"

namespace mlx::core {

ArraysFn custom_function(ArraysFn fun, std::optional<CustomRules::Vjp> fun_vjp,
                         std::optional<CustomRules::Jvp> fun_jvp,
                         std::optional<CustomRules::Vmap> fun_vmap) {
  auto call = std::make_shared<const CustomCall>(CustomCall{
      std::move(fun), {std::move(fun_vjp), std::move(fun_jvp), std::move(fun_vmap)}, nullptr});
  return [call](const std::vector<array>& arguments) {
    return CustomTransforms::apply(call, arguments);
  };
}

ArraysFn custom_vjp(ArraysFn fun, CustomRules::Vjp fun_vjp) {
  return custom_function(std::move(fun), std::move(fun_vjp), std::nullopt, std::nullopt);
}

// The backward pass runs the function again, and only once the cotangents are there: until then
// nothing of it is held.
ArraysFn checkpoint(ArraysFn fun) {
  auto recompute = [fun](const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<array>&) {
    return vjp(fun, depends(primals, cotangents), cotangents).second;
  };
  return custom_vjp(fun, recompute);
}

}  // namespace mlx::core
