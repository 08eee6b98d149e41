// fast.rope: rotary position encoding from plain ops, which the evaluator fuses.
#include <cmath>

#include "mlx/core/errors.h"
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

/** Angular frequencies of the pairs, float32. */
array frequencies(int pairs, const std::optional<float>& base, const std::optional<array>& freqs,
                  StreamOrDevice s) {
  if (freqs) {
    return reciprocal(astype(*freqs, float32, s), s);
  }
  float step = -std::log(*base) / static_cast<float>(pairs);
  return exp(multiply(arange(0.0, pairs, 1.0, float32, s), array(step), s), s);
}

/** Angles of shape (1 or batch, 1, ..., length, pairs). */
array angles(const array& x, int pairs, const std::optional<float>& base, float scale,
             const array& offset, const std::optional<array>& freqs, StreamOrDevice s) {
  int ndim = static_cast<int>(x.ndim());
  Shape length(ndim, 1), batch(ndim, 1);
  length[ndim - 2] = x.shape(-2);
  batch[0] = static_cast<int>(offset.size());
  array steps = reshape(arange(0.0, x.shape(-2), 1.0, float32, s), length, s);
  array positions = add(steps, reshape(astype(offset, float32, s), batch, s), s);
  return multiply(multiply(positions, array(scale), s), frequencies(pairs, base, freqs, s), s);
}

array last_axis(const array& x, int start, int stop, int step, StreamOrDevice s) {
  Shape from(x.ndim(), 0), to = x.shape(), steps(x.ndim(), 1);
  from[x.ndim() - 1] = start;
  to[x.ndim() - 1] = stop;
  steps[x.ndim() - 1] = step;
  return slice(x, from, to, steps, s);
}

}  // namespace

array rope(const array& x, int dims, bool traditional, std::optional<float> base, float scale,
           const array& offset, const std::optional<array>& freqs, StreamOrDevice s) {
  check_rope(x, dims, base, offset, freqs);
  int pairs = dims / 2;
  array theta = angles(x, pairs, base, scale, offset, freqs, s);
  array c = cos(theta, s), sn = sin(theta, s);
  array first = traditional ? last_axis(x, 0, dims, 2, s) : last_axis(x, 0, pairs, 1, s);
  array second = traditional ? last_axis(x, 1, dims, 2, s) : last_axis(x, pairs, dims, 1, s);
  if (x.dtype() != float64) {
    first = astype(first, float32, s);
    second = astype(second, float32, s);
  }
  array turned_first = subtract(multiply(first, c, s), multiply(second, sn, s), s);
  array turned_second = add(multiply(first, sn, s), multiply(second, c, s), s);
  turned_first = astype(turned_first, x.dtype(), s);
  turned_second = astype(turned_second, x.dtype(), s);
  std::vector<array> parts{turned_first, turned_second};
  if (traditional) {
    parts = {flatten(stack(parts, -1, s), -2, -1, s)};
  }
  if (dims < x.shape(-1)) {
    parts.push_back(last_axis(x, dims, x.shape(-1), 1, s));
  }
  return parts.size() == 1 ? parts[0] : concatenate(parts, -1, s);
}

array rope(const array& x, int dims, bool traditional, std::optional<float> base, float scale,
           int offset, const std::optional<array>& freqs, StreamOrDevice s) {
  return rope(x, dims, traditional, base, scale, array(offset), freqs, s);
}

}  // namespace mlx::core::fast
