// Ops that make arrays from nothing but numbers. Constant ones hold one element until a kernel
// needs more.
#include <cmath>
#include <limits>
#include <numbers>

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/arange.h"

namespace mlx::core {

namespace {

// Elements of [start, stop) in steps, as an extent.
ShapeElem arange_length(double start, double stop, double step) {
  check(step != 0, "arange", "The step must not be zero.");
  double length = std::isinf(step) ? (step > 0 ? start < stop : start > stop)
                                   : std::ceil((stop - start) / step);
  check(!std::isnan(start) && !std::isnan(stop) && !std::isnan(step) && !std::isnan(length),
        "arange", "Cannot count from ", start, " to ", stop, " in steps of ", step, ".");
  check(length <= std::numeric_limits<ShapeElem>::max(), "arange", "From ", start, " to ", stop,
        " in steps of ", step, " are more than 2^31 - 1 elements.");
  return static_cast<ShapeElem>(std::max(length, 0.0));
}

}  // namespace

array arange(double start, double stop, double step, Dtype dtype, StreamOrDevice s) {
  check(dtype != bool_, "arange", "The dtype bool is not supported.");
  ShapeElem length = arange_length(start, stop, step);
  check(!(std::isinf(start) || std::isinf(step)) || length <= 1, "arange", "Cannot count from ",
        start, " in steps of ", step, ".");
  step = std::isinf(step) ? 0 : step;  // there is no second element
  return array(Shape{length}, dtype, std::make_shared<Arange>(to_stream(s), start, step), {});
}

array arange(double start, double stop, double step, StreamOrDevice s) {
  return arange(start, stop, step, float32, s);
}

array arange(double start, double stop, Dtype dtype, StreamOrDevice s) {
  return arange(start, stop, 1.0, dtype, s);
}

array arange(double start, double stop, StreamOrDevice s) {
  return arange(start, stop, 1.0, float32, s);
}

array arange(double stop, Dtype dtype, StreamOrDevice s) {
  return arange(0.0, stop, 1.0, dtype, s);
}

array arange(double stop, StreamOrDevice s) { return arange(0.0, stop, 1.0, float32, s); }

array arange(int start, int stop, int step, StreamOrDevice s) {
  return arange(double(start), double(stop), double(step), int32, s);
}

array arange(int start, int stop, StreamOrDevice s) { return arange(start, stop, 1, s); }

array arange(int stop, StreamOrDevice s) { return arange(0, stop, 1, s); }

array linspace(double start, double stop, int num, bool endpoint, Dtype dtype, StreamOrDevice s) {
  check(num >= 0, "linspace", "The number of samples must not be negative, got ", num, ".");
  int intervals = endpoint ? num - 1 : num;
  if (intervals <= 0) {
    return full({num}, array(start, float64), dtype, s);
  }
  // Weights of both ends, so that the ends come out exactly.
  array weight = divide(arange(0.0, num, 1.0, float64, s), array(double(intervals), float64), s);
  array rest = subtract(array(1.0, float64), weight, s);
  array from = multiply(rest, array(start, float64), s);
  return astype(add(from, multiply(weight, array(stop, float64), s), s), dtype, s);
}

array linspace(double start, double stop, int num, Dtype dtype, StreamOrDevice s) {
  return linspace(start, stop, num, true, dtype, s);
}

array full(Shape shape, array vals, Dtype dtype, StreamOrDevice s) {
  check_shape("full", shape, dtype);
  return broadcast_to(astype(vals, dtype, s), shape, s);
}

array full(Shape shape, array vals, StreamOrDevice s) {
  Dtype dtype = vals.dtype();
  return full(std::move(shape), std::move(vals), dtype, s);
}

array full_like(const array& a, array vals, Dtype dtype, StreamOrDevice s) {
  return full(a.shape(), std::move(vals), dtype, s);
}

array full_like(const array& a, array vals, StreamOrDevice s) {
  return full_like(a, std::move(vals), a.dtype(), s);
}

array zeros(const Shape& shape, Dtype dtype, StreamOrDevice s) {
  return full(shape, array(0, dtype), dtype, s);
}

array zeros(const Shape& shape, StreamOrDevice s) { return zeros(shape, float32, s); }

array zeros_like(const array& a, StreamOrDevice s) { return zeros(a.shape(), a.dtype(), s); }

array zeros_like(const array& a, Dtype dtype, StreamOrDevice s) {
  return zeros(a.shape(), dtype, s);
}

array ones(const Shape& shape, Dtype dtype, StreamOrDevice s) {
  return full(shape, array(1, dtype), dtype, s);
}

array ones(const Shape& shape, StreamOrDevice s) { return ones(shape, float32, s); }

array ones_like(const array& a, StreamOrDevice s) { return ones(a.shape(), a.dtype(), s); }

array ones_like(const array& a, Dtype dtype, StreamOrDevice s) { return ones(a.shape(), dtype, s); }

}  // namespace mlx::core
