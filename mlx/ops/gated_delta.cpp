// fast.gated_delta_update: checks and dtype rules.
#include "mlx/primitives/gated_delta.h"

#include "mlx/core/errors.h"
#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx::core::fast {

namespace {

constexpr const char* op = "gated_delta_update";

void check_shape(const char* what, const array& x, const Shape& expected) {
  check(x.shape() == expected, op, what, " must have shape ", expected, ", not ", x.shape(), ".");
}

void check_inputs(const array& q, const array& k, const array& v, const array& gates,
                  const array& beta) {
  for (const auto* x : {&q, &k, &v}) {
    check(x->ndim() == 4, op,
          "queries, keys and values must have shape (B, T, heads, features), not ", x->shape(),
          ".");
  }
  check_shape("keys", k, q.shape());
  bool heads_fit = q.shape(2) > 0 && v.shape(2) % q.shape(2) == 0;
  check(heads_fit && v.shape(0) == q.shape(0) && v.shape(1) == q.shape(1), op, "values of shape ",
        v.shape(), " do not fit queries of shape ", q.shape(),
        ": the first two axes must be equal, and the heads of values a multiple.");
  Shape per_head(v.shape().begin(), v.shape().end() - 1), per_feature = per_head;
  per_feature.push_back(q.shape(3));
  check(gates.shape() == per_head || gates.shape() == per_feature, op, "gates must have shape ",
        per_head, " or ", per_feature, ", not ", gates.shape(), ".");
  check_shape("beta", beta, per_head);
  for (const auto* x : {&q, &k, &v, &gates, &beta}) {
    check(!is_complex_dtype(x->dtype()) && x->dtype() != float64, op, "does not take ",
          dtype_name(x->dtype()), ".");
  }
}

}  // namespace

std::vector<array> gated_delta_update(const array& queries, const array& keys, const array& values,
                                      const array& gates, const array& beta_,
                                      const std::optional<array>& initial_state,
                                      const std::optional<array>& mask, StreamOrDevice s) {
  check_inputs(queries, keys, values, gates, beta_);
  Shape state_shape{values.shape(0), values.shape(2), values.shape(3), keys.shape(3)};
  if (initial_state) check_shape("initial_state", *initial_state, state_shape);
  if (mask) check_shape("mask", *mask, {keys.shape(0), keys.shape(1)});

  Stream stream = to_stream(s);
  Dtype dtype = result_type(queries, keys, values);
  if (!issubdtype(dtype, floating)) dtype = float32;
  std::vector<array> inputs;
  for (const auto* x : {&queries, &keys, &values, &gates, &beta_}) {
    inputs.push_back(astype(*x, float32, stream));
  }
  inputs.push_back(initial_state ? astype(*initial_state, float32, stream)
                                 : zeros(state_shape, float32, stream));
  if (mask) inputs.push_back(astype(*mask, bool_, stream));
  auto outputs = GatedDelta::apply(inputs, stream);
  return {astype(outputs[0], dtype, stream), outputs[1]};
}

}  // namespace mlx::core::fast
