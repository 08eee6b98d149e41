// Ops that read or write where a mask is true.
#include "mlx/ops/mask.h"

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/mask.h"

namespace mlx::core {

namespace detail {

void check_mask(const char* op, const array& a, const array& mask) {
  check(mask.dtype() == bool_, op, "The mask must have dtype bool, got ", mask.dtype(), ".");
  bool fits = mask.ndim() <= a.ndim();
  for (size_t i = 0; fits && i < mask.ndim(); i++) {
    fits = mask.shape()[i] == a.shape()[i];
  }
  check(fits, op, "A mask of shape ", mask.shape(),
        " does not cover the leading axes of an array of shape ", a.shape(), ".");
}

array count_true(const array& mask, StreamOrDevice s) { return sum(astype(mask, int64, s), s); }

array select_true(const array& a, const array& mask, int64_t count, StreamOrDevice s) {
  return MaskedSelect(to_stream(s), checked_extent("index", count)).apply(a, mask);
}

std::vector<array> true_positions(const array& mask, int64_t count, StreamOrDevice s) {
  bool wide = mask.size() > INT32_MAX;
  array flat = flatten(mask, s);
  array all = arange(0.0, static_cast<double>(mask.size()), 1.0, wide ? int64 : int32, s);
  array rest = select_true(all, flat, count, s);
  std::vector<array> positions(mask.ndim(), rest);
  for (size_t i = mask.ndim(); i-- > 0;) {
    array extent(mask.shape()[i], rest.dtype());
    positions[i] = astype(i > 0 ? remainder(rest, extent, s) : rest, int32, s);
    rest = i > 0 ? floor_divide(rest, extent, s) : rest;
  }
  return positions;
}

array scatter_true(const array& a, const array& mask, const array& values, StreamOrDevice s) {
  array flat = flatten(astype(values, a.dtype(), s), s);
  return array(a.shape(), a.dtype(), std::make_shared<MaskedScatter>(to_stream(s)),
               {a, mask, flat});
}

}  // namespace detail

array masked_scatter(const array& a, const array& mask, const array& src, StreamOrDevice s) {
  detail::check_mask("masked_scatter", a, mask);
  if (src.size() != 1) {
    return detail::scatter_true(a, mask, src, s);
  }
  Shape spread = mask.shape();
  spread.insert(spread.end(), a.ndim() - mask.ndim(), 1);
  array value = reshape(astype(src, a.dtype(), s), {}, s);
  return where(reshape(mask, spread, s), value, a, s);
}

std::vector<array> nonzero(const array& a, StreamOrDevice s) {
  check(a.ndim() > 0, "nonzero", "A scalar has no positions.");
  array mask = not_equal(a, array(0, a.dtype()), s);
  return detail::true_positions(mask, detail::count_true(mask, s).item<int64_t>(), s);
}

}  // namespace mlx::core
