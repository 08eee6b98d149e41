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

namespace {

/** Gradients for the arguments that have any: ints, which may be indices, get zeros. */
std::vector<array> pull_back_to_floats(const ArraysFn& fun, const std::vector<array>& arguments,
                                       const std::vector<array>& cotangents) {
  std::vector<size_t> places;
  std::vector<array> floats;
  std::vector<array> grads;
  for (size_t i = 0; i < arguments.size(); i++) {
    grads.push_back(zeros_like(arguments[i]));
    if (issubdtype(arguments[i].dtype(), inexact)) {
      places.push_back(i);
      floats.push_back(arguments[i]);
    }
  }
  auto of_floats = [&](const std::vector<array>& values) {
    auto all = arguments;
    for (size_t k = 0; k < places.size(); k++) {
      all[places[k]] = values[k];
    }
    return fun(all);
  };
  auto found = vjp(of_floats, floats, cotangents).second;
  for (size_t k = 0; k < places.size(); k++) {
    grads[places[k]] = found[k];
  }
  return grads;
}

}  // namespace

// The backward pass runs the function again, and only once the cotangents are there: until then
// nothing of it is held.
ArraysFn checkpoint(ArraysFn fun) {
  auto recompute = [fun](const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<array>&) {
    return pull_back_to_floats(fun, depends(primals, cotangents), cotangents);
  };
  return custom_vjp(fun, recompute);
}

}  // namespace mlx::core
