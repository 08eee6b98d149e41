// fast.rms_norm and fast.layer_norm: checks and dtype rules.
#include "mlx/primitives/norm.h"

#include "mlx/core/errors.h"
#include "mlx/core/object_pool.h"
#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx::core::fast {

namespace {

void check_parameter(const char* op, const char* what, const array& x, const array& p) {
  check(p.ndim() == 1 && p.shape(0) == x.shape(-1), op, what, " must have shape (", x.shape(-1),
        ") for an input of shape ", x.shape(), ", not ", p.shape(), ".");
}

array norm(const char* op, NormSpec::Kind kind, const array& x, const std::optional<array>& weight,
           const std::optional<array>& bias, float eps, StreamOrDevice s) {
  check(x.ndim() > 0, op, "the input must have at least one dimension.");
  Dtype dtype = x.dtype();
  if (weight) {
    check_parameter(op, "weight", x, *weight);
    dtype = promote_types(dtype, weight->dtype());
  }
  if (bias) {
    check_parameter(op, "bias", x, *bias);
    dtype = promote_types(dtype, bias->dtype());
  }
  check(issubdtype(dtype, floating), op, "needs a floating dtype but got ", dtype_name(dtype), ".");
  std::vector<array> inputs{astype(x, dtype, s)};
  if (weight) inputs.push_back(astype(*weight, dtype, s));
  if (bias) inputs.push_back(astype(*bias, dtype, s));
  NormSpec spec{kind, eps, weight.has_value(), bias.has_value()};
  return array(x.shape(), dtype, make_pooled<Norm>(to_stream(s), spec), std::move(inputs));
}

}  // namespace

array rms_norm(const array& x, const std::optional<array>& weight, float eps, StreamOrDevice s) {
  return norm("rms_norm", NormSpec::Rms, x, weight, std::nullopt, eps, s);
}

array layer_norm(const array& x, const std::optional<array>& weight,
                 const std::optional<array>& bias, float eps, StreamOrDevice s) {
  return norm("layer_norm", NormSpec::Layer, x, weight, bias, eps, s);
}

}  // namespace mlx::core::fast
