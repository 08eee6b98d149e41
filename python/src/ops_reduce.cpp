// Reductions, softmax and the positions of extremes.
#include <algorithm>
#include <cmath>

#include "python/src/def_op.h"

namespace mlx::python {

namespace {

using ReduceAll = array (*)(const array&, bool, StreamOrDevice);
using ReduceSome = array (*)(const array&, const std::vector<int>&, bool, StreamOrDevice);

template <ReduceAll all, ReduceSome some>
array reduce(const array& a, const Axes& axis, bool keepdims, StreamOrDevice s) {
  return axis.all() ? all(a, keepdims, s) : some(a, axis.values, keepdims, s);
}

template <ReduceAll all, ReduceSome some>
void def_reduction(nb::module_& m, const char* name, const char* doc) {
  def_with_method(m, name, &reduce<all, some>, "axis"_a = nb::none(), "keepdims"_a = false,
                  nb::kw_only(), "stream"_a = nb::none(), doc);
}

/** `dtype` is that of the elements before they are put together, and of the result. */
template <ReduceAll all, ReduceSome some>
void def_typed_reduction(nb::module_& m, const char* name, const char* doc) {
  def_with_method(
      m, name,
      [](const array& a, const Axes& axis, bool keepdims, std::optional<Dtype> dtype,
         StreamOrDevice s) {
        array out = reduce<all, some>(dtype ? astype(a, *dtype, s) : a, axis, keepdims, s);
        return dtype ? astype(out, *dtype, s) : out;
      },
      "axis"_a = nb::none(), "keepdims"_a = false, nb::kw_only(), "dtype"_a = nb::none(),
      "stream"_a = nb::none(), doc);
}

using SpreadAll = array (*)(const array&, bool, int, StreamOrDevice);
using SpreadSome = array (*)(const array&, const std::vector<int>&, bool, int, StreamOrDevice);

/** How many elements make one of a reduction's result. */
double count_along(const array& a, const Axes& axis) {
  double count = axis.all() ? static_cast<double>(a.size()) : 1;
  for (int i : axis.values) {
    count *= a.shape(normalize_axis_index(i, static_cast<int>(a.ndim()), "[var] "));
  }
  return count;
}

/** A variance, or its root, over n elements for a correction that is no int. */
array corrected(const array& spread, double n, double correction, bool is_root, StreamOrDevice s) {
  double factor = n / std::max(n - correction, 0.0);
  return multiply(spread, array(is_root ? std::sqrt(factor) : factor, spread.dtype()), s);
}

/** `correction` is the array API's name of `ddof`. */
template <SpreadAll all, SpreadSome some, bool is_root>
void def_spread(nb::module_& m, const char* name, const char* doc) {
  def_with_method(
      m, name,
      [](const array& a, const Axes& axis, bool keepdims, int ddof,
         std::optional<double> correction, StreamOrDevice s) {
        double wanted = correction.value_or(ddof);
        bool is_whole = wanted == std::floor(wanted) && std::abs(wanted) < 1e9;
        int taken = is_whole ? static_cast<int>(wanted) : 0;
        array out =
            axis.all() ? all(a, keepdims, taken, s) : some(a, axis.values, keepdims, taken, s);
        return is_whole ? out : corrected(out, count_along(a, axis), wanted, is_root, s);
      },
      "axis"_a = nb::none(), "keepdims"_a = false, "ddof"_a = 0, nb::kw_only(),
      "correction"_a = nb::none(), "stream"_a = nb::none(), doc);
}

using PositionOne = array (*)(const array&, int, bool, StreamOrDevice);

template <ReduceAll all, PositionOne one>
void def_position(nb::module_& m, const char* name, const char* doc) {
  def_with_method(
      m, name,
      [](const array& a, std::optional<int> axis, bool keepdims, StreamOrDevice s) {
        return axis ? one(a, *axis, keepdims, s) : all(a, keepdims, s);
      },
      "axis"_a = nb::none(), "keepdims"_a = false, nb::kw_only(), "stream"_a = nb::none(), doc);
}

void bind_irregular(nb::module_& m) {
  m.def("median", &reduce<median, median>, "a"_a, "axis"_a = nb::none(), "keepdims"_a = false,
        nb::kw_only(), "stream"_a = nb::none(),
        "The middle value over the axes, the mean of the two middle ones for even counts.");
  m.def("count_nonzero", &reduce<count_nonzero, count_nonzero>, "a"_a, "axis"_a = nb::none(),
        "keepdims"_a = false, nb::kw_only(), "stream"_a = nb::none(),
        "How many elements are not zero, as int32.");
  m.def(
      "minmax",
      [](const array& a, const Axes& axis, bool keepdims, StreamOrDevice s) {
        return axis.all() ? minmax(a, keepdims, s) : minmax(a, axis.values, keepdims, s);
      },
      "a"_a, "axis"_a = nb::none(), "keepdims"_a = false, nb::kw_only(), "stream"_a = nb::none(),
      "The smallest and the largest elements over the axes, in one pass.");
  m.def(
      "softmax",
      [](const array& a, const Axes& axis, bool precise, StreamOrDevice s) {
        return axis.all() ? softmax(a, precise, s) : softmax(a, axis.values, precise, s);
      },
      "a"_a, "axis"_a = nb::none(), nb::kw_only(), "precise"_a = false, "stream"_a = nb::none(),
      "exp(a) / sum(exp(a)) over the axes, without overflow. With `precise`, half dtypes\n"
      "accumulate in float32. Integers become float32.");
}

}  // namespace

void bind_reduce(nb::module_& m) {
  def_typed_reduction<sum, sum>(
      m, "sum",
      "The sum over the given axes, over all if none are given. Integers\n"
      "narrower than 32 bits and bools sum as int32.");
  def_typed_reduction<prod, prod>(m, "prod", "The product over the given axes, over all if none.");
  def_reduction<max, max>(m, "max", "The largest elements over the axes; NaN if any is NaN.");
  def_reduction<min, min>(m, "min", "The smallest elements over the axes; NaN if any is NaN.");
  def_reduction<mean, mean>(m, "mean", "The mean over the axes; integers become float32.");
  def_reduction<all, all>(m, "all", "Whether all elements along the axes are non-zero.");
  def_reduction<any, any>(m, "any", "Whether any element along the axes is non-zero.");
  def_reduction<logsumexp, logsumexp>(m, "logsumexp",
                                      "log(sum(exp(a))) over the axes, without overflow.");
  def_spread<var, var, false>(
      m, "var",
      "The variance over the axes: squared distances from the mean, summed and\n"
      "divided by n - ddof.");
  def_spread<mlx::core::std, mlx::core::std, true>(
      m, "std", "The standard deviation over the axes: the root of `var` with the same ddof.");
  def_position<argmax, argmax>(m, "argmax",
                               "The position of the first largest element along an axis, or in\n"
                               "the flattened array, as uint32.");
  def_position<argmin, argmin>(m, "argmin",
                               "The position of the first smallest element along an axis, or in\n"
                               "the flattened array, as uint32.");
  bind_irregular(m);
}

}  // namespace mlx::python
