// Reductions, scans, sorting and searching. Part of mlx/ops.h, which includes it.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core {

// ------------ Reductions

// Whether every value (NaN included) is non-zero; bool. An empty reduction gives true.
array all(const array& a, bool keepdims, StreamOrDevice s = {});
array all(const array& a, StreamOrDevice s = {});
array all(const array& a, const std::vector<int>& axes, bool keepdims = false,
          StreamOrDevice s = {});
array all(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

// Whether any value is non-zero; bool. An empty reduction gives false.
array any(const array& a, bool keepdims, StreamOrDevice s = {});
array any(const array& a, StreamOrDevice s = {});
array any(const array& a, const std::vector<int>& axes, bool keepdims = false,
          StreamOrDevice s = {});
array any(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

// Sum over `axes`; bool and signed integers below 32 bits give int32, unsigned ones uint32. Half
// types add in float32. |error| <= 40 * 2^-24 * sum |a| for float32, whatever the length.
array sum(const array& a, bool keepdims, StreamOrDevice s = {});
array sum(const array& a, StreamOrDevice s = {});
array sum(const array& a, const std::vector<int>& axes, bool keepdims = false,
          StreamOrDevice s = {});
array sum(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

// How many values are non-zero; int32.
array count_nonzero(const array& a, bool keepdims = false, StreamOrDevice s = {});
array count_nonzero(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});
array count_nonzero(const array& a, const std::vector<int>& axes, bool keepdims = false,
                    StreamOrDevice s = {});

// Arithmetic mean; integers give float32. An empty reduction gives NaN.
array mean(const array& a, bool keepdims, StreamOrDevice s = {});
array mean(const array& a, StreamOrDevice s = {});
array mean(const array& a, const std::vector<int>& axes, bool keepdims = false,
           StreamOrDevice s = {});
array mean(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

// Middle value, or the mean of the two middle ones; integers give float32, NaN wins. Throws for
// empty axes.
array median(const array& a, bool keepdims, StreamOrDevice s = {});
array median(const array& a, StreamOrDevice s = {});
array median(const array& a, const std::vector<int>& axes, bool keepdims = false,
             StreamOrDevice s = {});
array median(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

// Mean squared distance from the mean, divided by n - ddof (NaN if that is below 1). One pass over
// memory, blocks merged by Chan's update in double. Complex input gives float32.
array var(const array& a, bool keepdims, int ddof = 0, StreamOrDevice s = {});
array var(const array& a, StreamOrDevice s = {});
array var(const array& a, const std::vector<int>& axes, bool keepdims = false, int ddof = 0,
          StreamOrDevice s = {});
array var(const array& a, int axis, bool keepdims = false, int ddof = 0, StreamOrDevice s = {});

// Square root of `var`.
array std(const array& a, bool keepdims, int ddof = 0, StreamOrDevice s = {});
array std(const array& a, StreamOrDevice s = {});
array std(const array& a, const std::vector<int>& axes, bool keepdims = false, int ddof = 0,
          StreamOrDevice s = {});
array std(const array& a, int axis, bool keepdims = false, int ddof = 0, StreamOrDevice s = {});

// Product over `axes`; dtypes as in `sum`.
array prod(const array& a, bool keepdims, StreamOrDevice s = {});
array prod(const array& a, StreamOrDevice s = {});
array prod(const array& a, const std::vector<int>& axes, bool keepdims = false,
           StreamOrDevice s = {});
array prod(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

// Largest value; NaN wins. Throws for empty axes. The gradient is shared among ties.
array max(const array& a, bool keepdims, StreamOrDevice s = {});
array max(const array& a, StreamOrDevice s = {});
array max(const array& a, const std::vector<int>& axes, bool keepdims = false,
          StreamOrDevice s = {});
array max(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

// Smallest value; NaN wins. Throws for empty axes. The gradient is shared among ties.
array min(const array& a, bool keepdims, StreamOrDevice s = {});
array min(const array& a, StreamOrDevice s = {});
array min(const array& a, const std::vector<int>& axes, bool keepdims = false,
          StreamOrDevice s = {});
array min(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

// `min` and `max`.
std::tuple<array, array> minmax(const array& a, bool keepdims, StreamOrDevice s = {});
std::tuple<array, array> minmax(const array& a, StreamOrDevice s = {});
std::tuple<array, array> minmax(const array& a, const std::vector<int>& axes, bool keepdims = false,
                                StreamOrDevice s = {});
std::tuple<array, array> minmax(const array& a, int axis, bool keepdims = false,
                                StreamOrDevice s = {});

// Position (uint32) of the first smallest value, in the flattened array without an axis; the first
// NaN wins. Throws for empty axes.
array argmin(const array& a, bool keepdims, StreamOrDevice s = {});
array argmin(const array& a, StreamOrDevice s = {});
array argmin(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

// Position (uint32) of the first largest value, in the flattened array without an axis; the first
// NaN wins. Throws for empty axes.
array argmax(const array& a, bool keepdims, StreamOrDevice s = {});
array argmax(const array& a, StreamOrDevice s = {});
array argmax(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

// log(sum(exp(a))) without overflow, one pass over memory; integers give float32. Throws for empty
// arrays.
array logsumexp(const array& a, bool keepdims, StreamOrDevice s = {});
array logsumexp(const array& a, StreamOrDevice s = {});
array logsumexp(const array& a, const std::vector<int>& axes, bool keepdims = false,
                StreamOrDevice s = {});
array logsumexp(const array& a, int axis, bool keepdims = false, StreamOrDevice s = {});

// exp(a) / sum(exp(a)) over `axes` without overflow; integers give float32. Half types always
// compute in float32, so `precise` changes nothing. Error at most 4 ULP, plus the rounding to a
// half type.
array softmax(const array& a, const std::vector<int>& axes, bool precise = false,
              StreamOrDevice s = {});
array softmax(const array& a, bool precise = false, StreamOrDevice s = {});
array softmax(const array& a, int axis, bool precise = false, StreamOrDevice s = {});

// ------------ Scans

// Running logsumexp along the axis (flattened without one); -inf before the first value.
array logcumsumexp(const array& a, bool reverse = false, bool inclusive = true,
                   StreamOrDevice s = {});
array logcumsumexp(const array& a, int axis, bool reverse = false, bool inclusive = true,
                   StreamOrDevice s = {});

// Running sum along the axis (flattened without one), from the end if `reverse`, shifted by one
// and starting with 0 unless `inclusive`. bool gives int32, otherwise `dtype` or the dtype of a;
// half types add in float32.
array cumsum(const array& a, bool reverse = false, bool inclusive = true,
             std::optional<Dtype> dtype = std::nullopt, StreamOrDevice s = {});
array cumsum(const array& a, bool reverse, bool inclusive, StreamOrDevice s);
array cumsum(const array& a, int axis, bool reverse = false, bool inclusive = true,
             std::optional<Dtype> dtype = std::nullopt, StreamOrDevice s = {});
array cumsum(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s);

// Running product, as `cumsum`; bool stays bool.
array cumprod(const array& a, bool reverse = false, bool inclusive = true,
              std::optional<Dtype> dtype = std::nullopt, StreamOrDevice s = {});
array cumprod(const array& a, bool reverse, bool inclusive, StreamOrDevice s);
array cumprod(const array& a, int axis, bool reverse = false, bool inclusive = true,
              std::optional<Dtype> dtype = std::nullopt, StreamOrDevice s = {});
array cumprod(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s);

// Running maximum; NaN stays. Without `inclusive` it starts with the lowest value of the dtype.
array cummax(const array& a, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array cummax(const array& a, int axis, bool reverse = false, bool inclusive = true,
             StreamOrDevice s = {});

// Running minimum; NaN stays. Without `inclusive` it starts with the highest value of the dtype.
array cummin(const array& a, bool reverse = false, bool inclusive = true, StreamOrDevice s = {});
array cummin(const array& a, int axis, bool reverse = false, bool inclusive = true,
             StreamOrDevice s = {});

// n-th differences of neighbours along the axis; bool gives not_equal. Throws for negative n.
array diff(const array& a, int n = 1, int axis = -1, StreamOrDevice s = {});

// ------------ Sorting and searching

// Ascending along the axis, or of the flattened array without one; NaN last.
array sort(const array& a, StreamOrDevice s = {});
array sort(const array& a, int axis, StreamOrDevice s = {});

// Positions (uint32) that sort the axis, or the flattened array without one; NaN last, stable.
array argsort(const array& a, StreamOrDevice s = {});
array argsort(const array& a, int axis, StreamOrDevice s = {});

// The kth smallest in its sorted place, none larger before and none smaller after. Negative kth
// counts from the end; throws if out of range.
array partition(const array& a, int kth, StreamOrDevice s = {});
array partition(const array& a, int kth, int axis, StreamOrDevice s = {});

// Positions (uint32) that partition the axis as `partition` does.
array argpartition(const array& a, int kth, StreamOrDevice s = {});
array argpartition(const array& a, int kth, int axis, StreamOrDevice s = {});

// Where each value goes in the ascending 1-D sequence (uint32): before equal ones for "left",
// behind them for "right". NaN counts as largest.
array searchsorted(const array& sorted_sequence, const array& values,
                   const std::string& side = "left", StreamOrDevice s = {});

// The k largest along the axis, in no particular order. Throws unless 0 <= k <= extent.
array topk(const array& a, int k, StreamOrDevice s = {});
array topk(const array& a, int k, int axis, StreamOrDevice s = {});

// The first `size` distinct values of the flattened array, ascending; then, as asked: position of
// each value's first occurrence, number of the distinct value for each element, count of each.
// Missing values repeat the smallest (or are `fill_value`) with count 0. NaNs are all distinct.
std::vector<array> unique(const array& a, int size, bool return_index = false,
                          bool return_inverse = false, bool return_counts = false,
                          const std::optional<array>& fill_value = std::nullopt,
                          StreamOrDevice s = {});

}  // namespace mlx::core
