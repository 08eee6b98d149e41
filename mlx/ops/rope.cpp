// fast.rope: checks and dtype rules of rotary position encoding.
#include "mlx/primitives/rope.h"

#include "mlx/core/errors.h"
#include "mlx/core/object_pool.h"
#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx::core::fast {

namespace {

void check_rope(const array& x, int dims, const std::optional<float>& base, const array& offset,
                const std::optional<array>& freqs) {
  constexpr const char* op = "rope";
  check(x.ndim() >= 3, op, "the input must have at least three dimensions but has shape ",
        x.shape(), ".");
  check(issubdtype(x.dtype(), floating), op, "needs a floating input but got ",
        dtype_name(x.dtype()), ".");
  check(dims > 0 && dims % 2 == 0, op, "dims must be positive and even but is ", dims, ".");
  check(dims <= x.shape(-1), op, "dims is ", dims, ", more than the last axis of shape ", x.shape(),
        ".");
  check(base.has_value() != freqs.has_value(), op, "give either base or freqs.");
  check(!freqs || (freqs->ndim() == 1 && freqs->shape(0) == dims / 2), op,
        "freqs must have shape (", dims / 2, ") but has ", freqs ? freqs->shape() : Shape{}, ".");
  check(issubdtype(offset.dtype(), integer), op, "offset must be an integer but has dtype ",
        dtype_name(offset.dtype()), ".");
  check(offset.ndim() == 0 || (offset.ndim() == 1 && offset.shape(0) == x.shape(0)) ||
            offset.size() == 1,
        op, "offset must be a scalar or have one element for each of the ", x.shape(0),
        " batches, not shape ", offset.shape(), ".");
}

}  // namespace

array rope(const array& x, int dims, bool traditional, std::optional<float> base, float scale,
           const array& offset, const std::optional<array>& freqs, StreamOrDevice s) {
  check_rope(x, dims, base, offset, freqs);
  std::vector<array> inputs;
  inputs.reserve(3);
  inputs.push_back(x);
  inputs.push_back(offset.size() == 1 && offset.ndim() > 0 ? reshape(offset, {}, s) : offset);
  if (offset.dtype() != int32) {
    inputs[1] = astype(inputs[1], int64, s);
  }
  if (freqs) {
    inputs.push_back(astype(*freqs, x.dtype() == float64 ? float64 : float32, s));
  }
  RopeSpec spec{dims, traditional, false, freqs.has_value(), base.value_or(0.0f), scale};
  return array(x.shape(), x.dtype(), make_pooled<Rope>(to_stream(s), spec), std::move(inputs));
}

array rope(const array& x, int dims, bool traditional, std::optional<float> base, float scale,
           int offset, const std::optional<array>& freqs, StreamOrDevice s) {
  return rope(x, dims, traditional, base, scale, array(offset), freqs, s);
}

}  // namespace mlx::core::fast
