// Plain form and transforms of running sums of weighted exponentials.
#include "mlx/primitives/exp_sum.h"

#include "mlx/ops.h"

namespace mlx::core {

array running_exp_sum(const array& weights, const array& inside, const array& outside, int axis,
                      bool reverse, bool inclusive, Stream s) {
  return array(weights.shape(), weights.dtype(),
               std::make_shared<RunningExpSum>(s, axis, reverse, inclusive),
               {weights, inside, outside});
}

std::vector<array> RunningExpSum::fallback(const std::vector<array>& inputs) const {
  const array &weights = inputs[0], &inside = inputs[1], &outside = inputs[2];
  auto s = stream();
  auto part = [&](const array& factors) {
    array logs = add(log(factors, s), inside, s);
    return exp(add(logcumsumexp(logs, axis_, reverse_, inclusive_, s), outside, s), s);
  };
  if (is_complex_dtype(weights.dtype())) {
    return {part(weights)};
  }
  array zero = array(0, weights.dtype());  // by sign, as real logarithms take none
  array positive = maximum(weights, zero, s);
  array negated = maximum(negative(weights, s), zero, s);
  return {subtract(part(positive), part(negated), s)};
}

std::vector<array> RunningExpSum::jvp(const std::vector<array>& primals,
                                      const std::vector<array>& tangents,
                                      const std::vector<int>& argnums) {
  const array &weights = primals[0], &inside = primals[1], &outside = primals[2];
  auto s = stream();
  auto sums = [&](const array& factors) {
    return running_exp_sum(factors, inside, outside, axis_, reverse_, inclusive_, s);
  };
  std::optional<array> total;
  for (size_t k = 0; k < argnums.size(); k++) {
    const array& t = tangents[k];
    array part = argnums[k] == 0   ? sums(t)
                 : argnums[k] == 1 ? sums(multiply(weights, t, s))
                                   : multiply(sums(weights), t, s);
    total = total ? add(*total, part, s) : part;
  }
  return {*total};
}

std::vector<array> RunningExpSum::vjp(const std::vector<array>& primals,
                                      const std::vector<array>& cotangents,
                                      const std::vector<int>& argnums,
                                      const std::vector<array>& outputs) {
  auto s = stream();
  auto adjoint = [&](const array& a) { return is_complex_dtype(a.dtype()) ? conjugate(a, s) : a; };
  // The transpose sums from the other end, with the exponents' places exchanged.
  array of_weights = running_exp_sum(cotangents[0], adjoint(primals[2]), adjoint(primals[1]), axis_,
                                     !reverse_, inclusive_, s);
  std::vector<array> grads;
  for (int i : argnums) {
    grads.push_back(i == 0   ? of_weights
                    : i == 1 ? multiply(of_weights, adjoint(primals[0]), s)
                             : multiply(cotangents[0], adjoint(outputs[0]), s));
  }
  return grads;
}

std::pair<std::vector<array>, std::vector<int>> RunningExpSum::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  auto s = stream();
  std::vector<array> moved;
  for (size_t i = 0; i < inputs.size(); i++) {
    moved.push_back(axes[i] < 0 ? expand_dims(inputs[i], 0, s)
                                : moveaxis(inputs[i], axes[i], 0, s));
  }
  moved = broadcast_arrays(moved, s);
  array out = running_exp_sum(moved[0], moved[1], moved[2], axis_ + 1, reverse_, inclusive_, s);
  return {{out}, {0}};
}

}  // namespace mlx::core
