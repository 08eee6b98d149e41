// Running folds: checks and dtype rules.
#include "mlx/primitives/scan.h"

#include "mlx/core/axes.h"
#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

array scan(const char* name, ScanOp op, const array& a, int axis, bool reverse, bool inclusive,
           StreamOrDevice s) {
  axis = detail::checked_axis(name, a, axis);
  return array(a.shape(), a.dtype(),
               std::make_shared<Scan>(to_stream(s), op, axis, reverse, inclusive), {a});
}

array typed(const array& a, std::optional<Dtype> dtype, Dtype of_bool, StreamOrDevice s) {
  Dtype wanted = dtype ? *dtype : a.dtype() == bool_ ? of_bool : a.dtype();
  return wanted == a.dtype() ? a : astype(a, wanted, s);
}

/** Least (or greatest) value of the dtype. */
array extreme_value(Dtype dtype, bool least) {
  if (dtype == bool_) {
    return array(!least);
  }
  double infinity = std::numeric_limits<double>::infinity(), value = least ? -infinity : infinity;
  if (is_complex_dtype(dtype)) {
    return array(complex128_t(value, value), dtype);
  }
  if (issubdtype(dtype, floating)) {
    return array(value, dtype);
  }
  iinfo info(dtype);
  return least ? array(info.min, dtype) : array(info.max, dtype);
}

array extremum_scan(const char* name, ScanOp op, const array& a, int axis, bool reverse,
                    bool inclusive, StreamOrDevice s) {
  axis = detail::checked_axis(name, a, axis);
  int n = a.shape(axis);
  if (inclusive || n == 0) {
    return scan(name, op, a, axis, reverse, true, s);
  }
  Shape start(a.ndim(), 0), stop = a.shape(), one = a.shape();
  (reverse ? start[axis] : stop[axis]) += reverse ? 1 : -1;
  one[axis] = 1;
  array rest = scan(name, op, slice(a, start, stop, s), axis, reverse, true, s);
  array first = broadcast_to(extreme_value(a.dtype(), op == ScanOp::Max), one, s);
  return concatenate(reverse ? std::vector<array>{rest, first} : std::vector<array>{first, rest},
                     axis, s);
}

}  // namespace

array cumsum(const array& a, int axis, bool reverse, bool inclusive, std::optional<Dtype> dtype,
             StreamOrDevice s) {
  return scan("cumsum", ScanOp::Sum, typed(a, dtype, int32, s), axis, reverse, inclusive, s);
}

array cumprod(const array& a, int axis, bool reverse, bool inclusive, std::optional<Dtype> dtype,
              StreamOrDevice s) {
  return scan("cumprod", ScanOp::Prod, typed(a, dtype, bool_, s), axis, reverse, inclusive, s);
}

array cummax(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s) {
  return extremum_scan("cummax", ScanOp::Max, a, axis, reverse, inclusive, s);
}

array cummin(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s) {
  return extremum_scan("cummin", ScanOp::Min, a, axis, reverse, inclusive, s);
}

array logcumsumexp(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s) {
  array x = issubdtype(a.dtype(), inexact) ? a : astype(a, float32, s);
  return scan("logcumsumexp", ScanOp::LogAddExp, x, axis, reverse, inclusive, s);
}

// Without an axis: the flattened array.
array cumsum(const array& a, bool reverse, bool inclusive, std::optional<Dtype> dtype,
             StreamOrDevice s) {
  return cumsum(flatten(a, s), 0, reverse, inclusive, dtype, s);
}
array cumprod(const array& a, bool reverse, bool inclusive, std::optional<Dtype> dtype,
              StreamOrDevice s) {
  return cumprod(flatten(a, s), 0, reverse, inclusive, dtype, s);
}
array cummax(const array& a, bool reverse, bool inclusive, StreamOrDevice s) {
  return cummax(flatten(a, s), 0, reverse, inclusive, s);
}
array cummin(const array& a, bool reverse, bool inclusive, StreamOrDevice s) {
  return cummin(flatten(a, s), 0, reverse, inclusive, s);
}
array logcumsumexp(const array& a, bool reverse, bool inclusive, StreamOrDevice s) {
  return logcumsumexp(flatten(a, s), 0, reverse, inclusive, s);
}

// Without a dtype.
array cumsum(const array& a, bool reverse, bool inclusive, StreamOrDevice s) {
  return cumsum(a, reverse, inclusive, std::nullopt, s);
}
array cumsum(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s) {
  return cumsum(a, axis, reverse, inclusive, std::nullopt, s);
}
array cumprod(const array& a, bool reverse, bool inclusive, StreamOrDevice s) {
  return cumprod(a, reverse, inclusive, std::nullopt, s);
}
array cumprod(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s) {
  return cumprod(a, axis, reverse, inclusive, std::nullopt, s);
}

array diff(const array& a, int n, int axis, StreamOrDevice s) {
  check(n >= 0, "diff", "the order n must not be negative but is ", n, ".");
  axis = detail::checked_axis("diff", a, axis);
  array x = a;
  for (int i = 0; i < n && x.shape(axis) > 0; i++) {
    Shape start(x.ndim(), 0), stop = x.shape(), none(x.ndim(), 0);
    start[axis] = 1;
    array high = slice(x, start, stop, s);
    stop[axis] -= 1;
    array low = slice(x, none, stop, s);
    x = x.dtype() == bool_ ? not_equal(high, low, s) : subtract(high, low, s);
  }
  return x;
}

}  // namespace mlx::core
