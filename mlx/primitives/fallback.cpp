// Transforms of fused primitives by their fallback.
#include "mlx/primitives/fallback.h"

#include "mlx/transforms.h"

namespace mlx::core {

namespace {

std::vector<array> selected(const std::vector<array>& from, const std::vector<int>& argnums) {
  std::vector<array> chosen;
  for (int i : argnums) chosen.push_back(from[i]);
  return chosen;
}

}  // namespace

std::vector<array> FallbackPrimitive::with_arguments(std::vector<array> inputs,
                                                     const std::vector<int>& argnums,
                                                     const std::vector<array>& arguments) const {
  for (size_t i = 0; i < argnums.size(); i++) {
    inputs[argnums[i]] = arguments[i];
  }
  return fallback(inputs);
}

std::vector<array> FallbackPrimitive::jvp(const std::vector<array>& primals,
                                          const std::vector<array>& tangents,
                                          const std::vector<int>& argnums) {
  auto of_arguments = [&](const std::vector<array>& arguments) {
    return with_arguments(primals, argnums, arguments);
  };
  return core::jvp(of_arguments, selected(primals, argnums), tangents).second;
}

std::vector<array> FallbackPrimitive::vjp(const std::vector<array>& primals,
                                          const std::vector<array>& cotangents,
                                          const std::vector<int>& argnums,
                                          const std::vector<array>&) {
  auto of_arguments = [&](const std::vector<array>& arguments) {
    return with_arguments(primals, argnums, arguments);
  };
  return core::vjp(of_arguments, selected(primals, argnums), cotangents).second;
}

std::pair<std::vector<array>, std::vector<int>> FallbackPrimitive::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  auto batched =
      core::vmap([this](const std::vector<array>& in) { return fallback(in); }, axes, {});
  auto outputs = batched(inputs);
  return {outputs, std::vector<int>(outputs.size(), 0)};
}

}  // namespace mlx::core
