// Derivatives and batching of scans. The transpose of a running sum is the running sum from the
// other end, and every rule below reduces to that.
#include "mlx/primitives/scan.h"

#include "mlx/ops.h"
#include "mlx/primitives/exp_sum.h"

namespace mlx::core {

namespace {

constexpr const char* names[] = {"CumSum", "CumProd", "CumMax", "CumMin", "LogCumSumExp"};

/** Splits x, which multiplies up to running products, at its first zero. */
struct ZeroSplit {
  array before;    // bool: no zero up to here, this one included
  array first;     // bool: the first zero
  array nonzero;   // x, with 1 from the first zero on
  array one_less;  // x, with 1 in place of the first zero only
};

ZeroSplit split_at_zero(const array& x, int axis, bool reverse, Stream s) {
  array zero = array(0, x.dtype());
  array one = array(1, x.dtype());
  array is_zero = equal(x, zero, s);
  array zeros = cumsum(astype(is_zero, int32, s), axis, reverse, true, std::nullopt, s);
  array before = equal(zeros, array(0), s);
  array first = logical_and(is_zero, equal(zeros, array(1), s), s);
  return {before, first, where(before, x, one, s), where(first, one, x, s)};
}

}  // namespace

const char* Scan::name() const { return names[static_cast<int>(op_)]; }

array Scan::scan(ScanOp op, const array& x, bool reverse) const {
  return array(x.shape(), x.dtype(),
               std::make_shared<Scan>(stream(), op, axis_, reverse, inclusive_), {x});
}

array Scan::prod_vjp(const array& x, const array& y, const array& cotangent) const {
  auto s = stream();
  auto split = split_at_zero(x, axis_, reverse_, s);
  array zero = array(0, x.dtype());
  // d y_i / d x_k is y_i / x_k before the first zero, the product of the others at it, then 0.
  array at_nonzero =
      divide(scan(ScanOp::Sum, multiply(cotangent, y, s), !reverse_), split.nonzero, s);
  array others = scan(ScanOp::Prod, split.one_less, reverse_);
  array at_zero = scan(ScanOp::Sum, multiply(cotangent, others, s), !reverse_);
  return where(split.before, at_nonzero, where(split.first, at_zero, zero, s), s);
}

array Scan::prod_jvp(const array& x, const array& y, const array& tangent) const {
  auto s = stream();
  auto split = split_at_zero(x, axis_, reverse_, s);
  array zero = array(0, x.dtype());
  array ratios = where(split.before, divide(tangent, split.nonzero, s), zero, s);
  array at_nonzero = multiply(y, scan(ScanOp::Sum, ratios, reverse_), s);
  array of_zero = scan(ScanOp::Sum, where(split.first, tangent, zero, s), reverse_);
  array at_zero = multiply(scan(ScanOp::Prod, split.one_less, reverse_), of_zero, s);
  return add(at_nonzero, at_zero, s);
}

/** For each result of a running extremum, the position it came from; the later of ties. */
array Scan::sources(const array& x, const array& y) const {
  auto s = stream();
  int n = x.shape(axis_);
  Shape shape(x.ndim(), 1);
  shape[axis_] = n;
  array positions = reshape(arange(0, n, 1, s), shape, s);
  array outside = array(reverse_ ? n - 1 : 0);
  array is_source = logical_or(equal(x, y, s), isnan(x, s), s);
  array marked = where(is_source, positions, outside, s);
  return scan(reverse_ ? ScanOp::Min : ScanOp::Max, marked, reverse_);
}

std::vector<array> Scan::vjp(const std::vector<array>& primals,
                             const std::vector<array>& cotangents, const std::vector<int>&,
                             const std::vector<array>& outputs) {
  const array &x = primals[0], &y = outputs[0], &cotangent = cotangents[0];
  auto s = stream();
  auto adjoint = [&](const array& a) { return is_complex_dtype(a.dtype()) ? conjugate(a, s) : a; };
  switch (op_) {
    case ScanOp::Sum:
      return {scan(ScanOp::Sum, cotangent, !reverse_)};
    case ScanOp::Prod:
      return {prod_vjp(x, y, cotangent)};
    case ScanOp::LogAddExp:
      return {running_exp_sum(cotangent, adjoint(negative(y, s)), adjoint(x), axis_, !reverse_,
                              inclusive_, s)};
    case ScanOp::Max:
    case ScanOp::Min:
      return {scatter_add_axis(zeros_like(x, s), sources(x, y), cotangent, axis_, s)};
  }
  __builtin_unreachable();
}

std::vector<array> Scan::jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                             const std::vector<int>&) {
  const array &x = primals[0], &tangent = tangents[0];
  auto s = stream();
  switch (op_) {
    case ScanOp::Sum:
      return {run(tangent)};
    case ScanOp::Prod:
      return {prod_jvp(x, run(x), tangent)};
    case ScanOp::LogAddExp:
      return {running_exp_sum(tangent, x, negative(run(x), s), axis_, reverse_, inclusive_, s)};
    case ScanOp::Max:
    case ScanOp::Min:
      return {take_along_axis(tangent, sources(x, run(x)), axis_, s)};
  }
  __builtin_unreachable();
}

std::pair<std::vector<array>, std::vector<int>> Scan::vmap(const std::vector<array>& inputs,
                                                           const std::vector<int>& axes) {
  const array& x = inputs[0];
  int axis = axis_ + (axis_ >= axes[0]);
  array out(x.shape(), x.dtype(), std::make_shared<Scan>(stream(), op_, axis, reverse_, inclusive_),
            {x});
  return {{out}, axes};
}

}  // namespace mlx::core
