// Batch normalisation: checks, dtype rules and defaults.
#include "mlx/ops/batch_norm.h"

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/primitives/batch_norm.h"

namespace mlx::core::detail {

namespace {

constexpr const char* op = "batch_norm";

void check_parameter(const char* what, const std::optional<array>& parameter, const array& x) {
  check(!parameter || parameter->shape() == Shape{x.shape(-1)}, op, what, " must have shape (",
        x.shape(-1), ") for an input of shape ", x.shape(), ", not ",
        parameter ? parameter->shape() : Shape{}, ".");
}

}  // namespace

std::vector<array> batch_norm(const array& x, const std::optional<array>& weight,
                              const std::optional<array>& bias, float eps, StreamOrDevice s) {
  check(x.ndim() >= 2, op, "needs an input of at least two dimensions but got shape ", x.shape(),
        ".");
  check_parameter("the weight", weight, x);
  check_parameter("the bias", bias, x);
  Stream stream = to_stream(s);
  Dtype dtype = x.dtype();
  for (const auto* parameter : {&weight, &bias}) {
    if (*parameter) dtype = promote_types(dtype, (*parameter)->dtype());
  }
  if (!issubdtype(dtype, inexact)) dtype = float32;
  check(issubdtype(dtype, floating), op, "needs a real dtype but got ", dtype_name(dtype), ".");
  Shape channels{x.shape(-1)};
  std::vector<array> inputs{astype(x, dtype, stream),
                            weight ? astype(*weight, dtype, stream) : ones(channels, dtype, stream),
                            bias ? astype(*bias, dtype, stream) : zeros(channels, dtype, stream)};
  auto node = std::make_shared<BatchNorm>(stream, eps);
  return array::make_arrays(node->output_shapes(inputs), std::vector<Dtype>(3, dtype), node,
                            inputs);
}

}  // namespace mlx::core::detail
