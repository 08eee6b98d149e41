// Padding by a value, or by elements of the array itself.
#include <vector>

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/pad.h"

namespace mlx::core {

namespace {

// The element of [0, n) that stands at position `at` when the axis is continued past its ends.
int source_position(const std::string& mode, int64_t at, int64_t n) {
  if (mode == "edge") {
    return static_cast<int>(at < 0 ? 0 : at < n ? at : n - 1);
  }
  // Mirrored copies repeat with this period: the end elements come once or twice.
  bool reflect = mode == "reflect";
  int64_t period = reflect ? (n > 1 ? 2 * (n - 1) : 1) : 2 * n;
  int64_t phase = (at % period + period) % period;
  return static_cast<int>(phase < n ? phase : reflect ? period - phase : period - 1 - phase);
}

array pad_by_elements(array a, const Shape& low, const Shape& high, const std::string& mode,
                      StreamOrDevice s) {
  for (int axis = 0; axis < static_cast<int>(a.ndim()); axis++) {
    if (low[axis] == 0 && high[axis] == 0) {
      continue;
    }
    check(a.shape(axis) > 0, "pad", "Cannot pad the empty axis ", axis, " of shape ", a.shape(),
          " by mode '", mode, "'.");
    std::vector<int> positions;
    for (int64_t i = -int64_t{low[axis]}; i < int64_t{a.shape(axis)} + high[axis]; i++) {
      positions.push_back(source_position(mode, i, a.shape(axis)));
    }
    Shape extent{checked_extent("pad", positions.size())};
    a = take(a, array(positions.begin(), extent, int32), axis, s);
  }
  return a;
}

}  // namespace

array pad(const array& a, const std::vector<int>& axes, const Shape& low_pad_size,
          const Shape& high_pad_size, const array& pad_value, const std::string& mode,
          StreamOrDevice s) {
  check(axes.size() == low_pad_size.size() && axes.size() == high_pad_size.size(), "pad",
        "Got padding sizes ", low_pad_size, " and ", high_pad_size, " for ", axes.size(), " axes.");
  auto padded_axes = normalize_axes("pad", axes, a.ndim());
  Shape low(a.ndim(), 0), high(a.ndim(), 0);
  bool any = false;
  for (size_t i = 0; i < axes.size(); i++) {
    check(low_pad_size[i] >= 0 && high_pad_size[i] >= 0, "pad", "Padding sizes (", low_pad_size[i],
          ",", high_pad_size[i], ") for axis ", axes[i], " must not be negative.");
    low[padded_axes[i]] = low_pad_size[i];
    high[padded_axes[i]] = high_pad_size[i];
    any |= low_pad_size[i] > 0 || high_pad_size[i] > 0;
  }
  bool constant = mode == "constant";
  check(constant || mode == "edge" || mode == "reflect" || mode == "symmetric", "pad",
        "Unknown mode '", mode, "'; known are 'constant', 'edge', 'reflect' and 'symmetric'.");
  check(!constant || pad_value.size() == 1, "pad", "The padding value must be a scalar, got shape ",
        pad_value.shape(), ".");
  Shape shape = Pad::padded(a.shape(), low, high);
  check_shape("pad", shape, a.dtype());
  if (!any) {
    return a;
  }
  if (!constant) {
    return pad_by_elements(a, low, high, mode, s);
  }
  array value = reshape(astype(pad_value, a.dtype(), s), {}, s);
  return array(std::move(shape), a.dtype(),
               std::make_shared<Pad>(to_stream(s), std::move(low), std::move(high)), {a, value});
}

array pad(const array& a, const std::vector<std::pair<int, int>>& pad_width, const array& pad_value,
          const std::string& mode, StreamOrDevice s) {
  check(pad_width.size() == a.ndim(), "pad", "Got ", pad_width.size(),
        " padding sizes for an array of shape ", a.shape(), ".");
  Shape low, high;
  for (auto [before, after] : pad_width) {
    low.push_back(before);
    high.push_back(after);
  }
  return pad(a, all_axes(a.ndim()), low, high, pad_value, mode, s);
}

array pad(const array& a, const std::pair<int, int>& pad_width, const array& pad_value,
          const std::string& mode, StreamOrDevice s) {
  return pad(a, std::vector<std::pair<int, int>>(a.ndim(), pad_width), pad_value, mode, s);
}

array pad(const array& a, int pad_width, const array& pad_value, const std::string& mode,
          StreamOrDevice s) {
  return pad(a, std::pair<int, int>{pad_width, pad_width}, pad_value, mode, s);
}

}  // namespace mlx::core
