// Reductions: checks, dtype rules and the nodes that do them.
#include "mlx/primitives/reduce.h"

#include "mlx/core/axes.h"
#include "mlx/core/errors.h"
#include "mlx/core/object_pool.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

using detail::all_axes;
using detail::checked_axes;

/** `axes` sorted. */
array reduce(const array& a, ReduceOp op, const std::vector<int>& axes, bool keepdims, Stream s,
             int ddof = 0) {
  return array(reduced_shape(a.shape(), axes, keepdims), reduce_result_type(op, a.dtype()),
               make_pooled<Reduce>(s, op, axes, keepdims, ddof), {a});
}

/** Integers and booleans as float32. */
array inexact_of(const array& a, Stream s) {
  return issubdtype(a.dtype(), inexact) ? a : astype(a, float32, s);
}

array extremum(const char* name, ReduceOp op, const array& a, const std::vector<int>& axes,
               bool keepdims, StreamOrDevice s) {
  auto sorted = checked_axes(name, a, axes);
  for (int axis : sorted) {
    check(a.shape(axis) != 0, name, "axis ", axis, " of shape ", a.shape(), " is empty and has no ",
          name, ".");
  }
  return reduce(a, op, sorted, keepdims, to_stream(s));
}

array arg_reduce(const char* name, ArgReduce::Kind kind, const array& a, int axis, bool keepdims,
                 StreamOrDevice s) {
  axis = detail::checked_axis(name, a, axis);
  check(a.shape(axis) != 0, name, "axis ", axis, " of shape ", a.shape(),
        " is empty and has no position.");
  return array(reduced_shape(a.shape(), {axis}, keepdims), uint32,
               make_pooled<ArgReduce>(to_stream(s), kind, axis, keepdims), {a});
}

array arg_reduce_all(const char* name, ArgReduce::Kind kind, const array& a, bool keepdims,
                     StreamOrDevice s) {
  array position = arg_reduce(name, kind, flatten(a, s), 0, false, s);
  return keepdims ? reshape(position, Shape(a.ndim(), 1), s) : position;
}

}  // namespace

array sum(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return reduce(a, ReduceOp::Sum, checked_axes("sum", a, axes), keepdims, to_stream(s));
}

array prod(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return reduce(a, ReduceOp::Prod, checked_axes("prod", a, axes), keepdims, to_stream(s));
}

array all(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return reduce(a, ReduceOp::All, checked_axes("all", a, axes), keepdims, to_stream(s));
}

array any(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return reduce(a, ReduceOp::Any, checked_axes("any", a, axes), keepdims, to_stream(s));
}

array max(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return extremum("max", ReduceOp::Max, a, axes, keepdims, s);
}

array min(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  return extremum("min", ReduceOp::Min, a, axes, keepdims, s);
}

array mean(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  auto sorted = checked_axes("mean", a, axes);
  return reduce(inexact_of(a, to_stream(s)), ReduceOp::Mean, sorted, keepdims, to_stream(s));
}

array count_nonzero(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  auto sorted = checked_axes("count_nonzero", a, axes);
  return reduce(astype(a, bool_, s), ReduceOp::Sum, sorted, keepdims, to_stream(s));
}

array logsumexp(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  auto sorted = checked_axes("logsumexp", a, axes);
  check(a.size() != 0, "logsumexp", "an array of shape ", a.shape(), " is empty.");
  if (is_complex_dtype(a.dtype())) {
    array shift = max(real(a, s), sorted, true, s);
    array total = log(sum(exp(subtract(a, shift, s), s), sorted, keepdims, s), s);
    return add(total, keepdims ? shift : squeeze(shift, sorted, s), s);
  }
  return reduce(inexact_of(a, to_stream(s)), ReduceOp::LogSumExp, sorted, keepdims, to_stream(s));
}

array var(const array& a, const std::vector<int>& axes, bool keepdims, int ddof, StreamOrDevice s) {
  auto sorted = checked_axes("var", a, axes);
  if (is_complex_dtype(a.dtype())) {
    return add(var(real(a, s), sorted, keepdims, ddof, s),
               var(imag(a, s), sorted, keepdims, ddof, s), s);
  }
  return reduce(inexact_of(a, to_stream(s)), ReduceOp::Var, sorted, keepdims, to_stream(s), ddof);
}

array std(const array& a, const std::vector<int>& axes, bool keepdims, int ddof, StreamOrDevice s) {
  return sqrt(var(a, axes, keepdims, ddof, s), s);
}

std::tuple<array, array> minmax(const array& a, const std::vector<int>& axes, bool keepdims,
                                StreamOrDevice s) {
  return {min(a, axes, keepdims, s), max(a, axes, keepdims, s)};
}

array median(const array& a, const std::vector<int>& axes, bool keepdims, StreamOrDevice s) {
  auto sorted = checked_axes("median", a, axes);
  for (int axis : sorted) {
    check(a.shape(axis) != 0, "median", "axis ", axis, " of shape ", a.shape(),
          " is empty and has no median.");
  }
  array x = inexact_of(a, to_stream(s));
  if (sorted.empty()) {
    return x;
  }
  int ndim = static_cast<int>(a.ndim());
  int kept = ndim - static_cast<int>(sorted.size());
  array rows = transpose(x, detail::AxisOrder(ndim, sorted).forward, s);
  rows = sort(flatten(rows, kept, -1, s), -1, s);
  int n = rows.shape(-1);
  array high = take(rows, n / 2, -1, s);
  array middle =
      n % 2 ? high
            : multiply(add(take(rows, n / 2 - 1, -1, s), high, s), array(0.5, rows.dtype()), s);
  array last = take(rows, n - 1, -1, s);  // NaN sorts last and makes the median NaN
  middle = where(isnan(last, s), last, middle, s);
  return keepdims ? expand_dims(middle, sorted, s) : middle;
}

array argmin(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return arg_reduce("argmin", ArgReduce::ArgMin, a, axis, keepdims, s);
}
array argmax(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return arg_reduce("argmax", ArgReduce::ArgMax, a, axis, keepdims, s);
}
array argmin(const array& a, bool keepdims, StreamOrDevice s) {
  return arg_reduce_all("argmin", ArgReduce::ArgMin, a, keepdims, s);
}
array argmax(const array& a, bool keepdims, StreamOrDevice s) {
  return arg_reduce_all("argmax", ArgReduce::ArgMax, a, keepdims, s);
}
array argmin(const array& a, StreamOrDevice s) { return argmin(a, false, s); }
array argmax(const array& a, StreamOrDevice s) { return argmax(a, false, s); }

std::tuple<array, array> minmax(const array& a, bool keepdims, StreamOrDevice s) {
  return minmax(a, all_axes(a), keepdims, s);
}
std::tuple<array, array> minmax(const array& a, StreamOrDevice s) { return minmax(a, false, s); }
std::tuple<array, array> minmax(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return minmax(a, std::vector<int>{axis}, keepdims, s);
}

array count_nonzero(const array& a, bool keepdims, StreamOrDevice s) {
  return count_nonzero(a, all_axes(a), keepdims, s);
}
array count_nonzero(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return count_nonzero(a, std::vector<int>{axis}, keepdims, s);
}

// The forms over all axes and over one axis.
#define MLX_REDUCTION(name)                                                               \
  array name(const array& a, bool keepdims, StreamOrDevice s) {                           \
    return name(a, all_axes(a), keepdims, s);                                             \
  }                                                                                       \
  array name(const array& a, StreamOrDevice s) { return name(a, all_axes(a), false, s); } \
  array name(const array& a, int axis, bool keepdims, StreamOrDevice s) {                 \
    return name(a, std::vector<int>{axis}, keepdims, s);                                  \
  }
#define MLX_DEGREES_REDUCTION(name)                                                          \
  array name(const array& a, bool keepdims, int ddof, StreamOrDevice s) {                    \
    return name(a, all_axes(a), keepdims, ddof, s);                                          \
  }                                                                                          \
  array name(const array& a, StreamOrDevice s) { return name(a, all_axes(a), false, 0, s); } \
  array name(const array& a, int axis, bool keepdims, int ddof, StreamOrDevice s) {          \
    return name(a, std::vector<int>{axis}, keepdims, ddof, s);                               \
  }
#include "mlx/optable/reduce.def"

}  // namespace mlx::core
