// Ops that read or write where a mask is true.
#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
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
  const bool* data = mask.data<bool>();
  size_t size = mask.size();
  auto count = static_cast<int64_t>(std::count(data, data + size, true));
  Shape shape{checked_extent("nonzero", count)};
  std::vector<array> result;
  std::vector<int32_t*> out;
  for (size_t i = 0; i < a.ndim(); i++) {
    result.emplace_back(allocator::malloc(count * sizeof(int32_t)), shape, int32);
    out.push_back(result.back().data<int32_t>());
  }
  for (size_t at = 0, found = 0; at < size; at++) {
    if (data[at]) {
      size_t rest = at;
      for (int axis = static_cast<int>(a.ndim()) - 1; axis >= 0; axis--) {
        out[axis][found] = static_cast<int32_t>(rest % a.shape(axis));
        rest /= a.shape(axis);
      }
      found++;
    }
  }
  return result;
}

}  // namespace mlx::core
