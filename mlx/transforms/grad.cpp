// vjp, jvp, grad and value_and_grad as functions of functions.
#include <algorithm>
#include <numeric>

#include "mlx/core/errors.h"
#include "mlx/core/tracing.h"
#include "mlx/graph/tape.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"
#include "mlx/transforms/gradients.h"

namespace mlx::core {

namespace {

using ArraysFn = std::function<std::vector<array>(const std::vector<array>&)>;

std::vector<array> make_tracers(const std::vector<array>& arrays) {
  std::vector<array> tracers;
  tracers.reserve(arrays.size());
  for (auto& a : arrays) {
    tracers.push_back(detail::make_tracer(a));
  }
  return tracers;
}

void check_directions(const char* op, const char* what, const std::vector<array>& values,
                      const std::vector<array>& directions) {
  check(values.size() == directions.size(), op, "Got ", directions.size(), " ", what, "s for ",
        values.size(), " arrays.");
  for (size_t i = 0; i < values.size(); i++) {
    check(values[i].shape() == directions[i].shape(), op, "Shape ", values[i].shape(),
          " does not match ", what, " shape ", directions[i].shape(), ".");
  }
}

std::vector<int> checked_argnums(const std::vector<int>& argnums, size_t arguments) {
  std::vector<int> checked;
  check(!argnums.empty(), "grad", "No arguments to differentiate with respect to.");
  for (int i : argnums) {
    int n = static_cast<int>(arguments);
    check(i >= -n && i < n, "grad", "Argument number ", i, " is out of range for a function of ", n,
          " arguments.");
    checked.push_back(i < 0 ? i + n : i);
  }
  auto sorted = checked;
  std::sort(sorted.begin(), sorted.end());
  check(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(), "grad",
        "Argument numbers must differ.");
  return checked;
}

}  // namespace

std::pair<std::vector<array>, std::vector<array>> vjp(const ArraysFn& fun,
                                                      const std::vector<array>& primals,
                                                      const std::vector<array>& cotangents) {
  detail::TracingScope scope;
  auto tracers = make_tracers(primals);
  auto outputs = fun(tracers);
  check_directions("vjp", "cotangent", outputs, cotangents);
  return {outputs, detail::pull_back(tracers, outputs, cotangents)};
}

std::pair<array, array> vjp(const std::function<array(const array&)>& fun, const array& primal,
                            const array& cotangent) {
  auto [outputs, grads] =
      vjp([&fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; },
          std::vector<array>{primal}, std::vector<array>{cotangent});
  return {outputs[0], grads[0]};
}

std::pair<std::vector<array>, std::vector<array>> jvp(const ArraysFn& fun,
                                                      const std::vector<array>& primals,
                                                      const std::vector<array>& tangents) {
  check_directions("jvp", "tangent", primals, tangents);
  detail::TracingScope scope;
  auto tracers = make_tracers(primals);
  auto outputs = fun(tracers);
  return {outputs, detail::push_forward(tracers, outputs, tangents)};
}

std::pair<array, array> jvp(const std::function<array(const array&)>& fun, const array& primal,
                            const array& tangent) {
  auto [outputs, tangents] =
      jvp([&fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; },
          std::vector<array>{primal}, std::vector<array>{tangent});
  return {outputs[0], tangents[0]};
}

ValueAndGradFn value_and_grad(const ArraysFn& fun, const std::vector<int>& argnums) {
  return [fun, argnums](const std::vector<array>& inputs) {
    auto chosen = checked_argnums(argnums, inputs.size());
    detail::TracingScope scope;
    std::vector<array> arguments = inputs;
    std::vector<array> tracers;
    for (int i : chosen) {
      tracers.push_back(detail::make_tracer(inputs[i]));
      arguments[i] = tracers.back();
    }
    auto outputs = fun(arguments);
    check(!outputs.empty(), "grad", "The function to differentiate returned nothing.");
    check(outputs[0].size() == 1 && outputs[0].ndim() == 0, "grad",
          "The first output of a differentiated function must be a scalar, but has shape ",
          outputs[0].shape(), ".");
    auto grads = detail::pull_back(tracers, {outputs[0]}, {ones_like(outputs[0])});
    return std::make_pair(std::move(outputs), std::move(grads));
  };
}

ValueAndGradFn value_and_grad(const ArraysFn& fun, int argnum) {
  return value_and_grad(fun, std::vector<int>{argnum});
}

std::function<std::pair<array, array>(const array&)> value_and_grad(
    const std::function<array(const array&)>& fun) {
  return [fun](const array& input) {
    auto [outputs, grads] = value_and_grad(
        ArraysFn([&fun](const std::vector<array>& in) { return std::vector<array>{fun(in[0])}; }),
        0)({input});
    return std::make_pair(outputs[0], grads[0]);
  };
}

SimpleValueAndGradFn value_and_grad(const std::function<array(const std::vector<array>&)>& fun,
                                    const std::vector<int>& argnums) {
  return [fun, argnums](const std::vector<array>& inputs) {
    auto [outputs, grads] = value_and_grad(
        ArraysFn([&fun](const std::vector<array>& in) { return std::vector<array>{fun(in)}; }),
        argnums)(inputs);
    return std::make_pair(outputs[0], std::move(grads));
  };
}

SimpleValueAndGradFn value_and_grad(const std::function<array(const std::vector<array>&)>& fun,
                                    int argnum) {
  return value_and_grad(fun, std::vector<int>{argnum});
}

std::function<std::vector<array>(const std::vector<array>&)> grad(
    const std::function<array(const std::vector<array>&)>& fun, const std::vector<int>& argnums) {
  return [fn = value_and_grad(fun, argnums)](const std::vector<array>& inputs) {
    return fn(inputs).second;
  };
}

std::function<std::vector<array>(const std::vector<array>&)> grad(
    const std::function<array(const std::vector<array>&)>& fun, int argnum) {
  return grad(fun, std::vector<int>{argnum});
}

std::function<array(const array&)> grad(const std::function<array(const array&)>& fun) {
  return [fn = value_and_grad(fun)](const array& input) { return fn(input).second; };
}

}  // namespace mlx::core
