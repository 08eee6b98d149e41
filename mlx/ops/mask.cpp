// Ops that read or write where a mask is true.
#include "mlx/core/errors.h"
#include "mlx/core/true_positions.h"
#include "mlx/ops.h"

namespace mlx::core {

array masked_scatter(const array& a, const array& mask, const array& src, StreamOrDevice s) {
  check(mask.dtype() == bool_, "masked_scatter", "The mask must have dtype bool, got ",
        mask.dtype(), ".");
  bool fits = mask.ndim() <= a.ndim();
  for (size_t i = 0; fits && i < mask.ndim(); i++) {
    fits = mask.shape(i) == a.shape(i);
  }
  check(fits, "masked_scatter", "A mask of shape ", mask.shape(),
        " does not cover the leading axes of an array of shape ", a.shape(), ".");
  if (a.size() == 0) {
    return a;
  }
  Shape spread = mask.shape();
  spread.insert(spread.end(), a.ndim() - mask.ndim(), 1);
  array full_mask = broadcast_to(reshape(mask, spread, s), a.shape(), s);
  array values = flatten(astype(src, a.dtype(), s), s);
  if (values.size() == 1) {
    return where(full_mask, reshape(values, {}, s), a, s);
  }
  // Each true element takes the value whose number is that of the true elements before it. Without
  // values the first true element asks for one past the end, which is an error.
  bool none = values.size() == 0;
  Dtype counter = a.size() > INT32_MAX ? int64 : int32;
  array flat_mask = flatten(full_mask, s);
  array number = cumsum(astype(flat_mask, counter, s), 0, false, true, std::nullopt, s);
  number = none ? number : subtract(number, array(1, counter), s);
  number = where(flat_mask, number, array(0, counter), s);
  array taken = take(none ? zeros({1}, a.dtype(), s) : values, number, 0, s);
  return where(full_mask, reshape(taken, a.shape(), s), a, s);
}

std::vector<array> nonzero(const array& a, StreamOrDevice s) {
  check(a.ndim() > 0, "nonzero", "A scalar has no positions.");
  array mask = contiguous(not_equal(a, array(0, a.dtype()), s), false, s);
  mask.eval();
  return true_positions("nonzero", mask);
}

}  // namespace mlx::core
