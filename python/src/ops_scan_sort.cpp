// Cumulative ops, sorting and searching.
#include "python/src/def_op.h"

namespace mlx::python {

namespace {

using ScanAll = array (*)(const array&, bool, bool, StreamOrDevice);
using ScanOne = array (*)(const array&, int, bool, bool, StreamOrDevice);

constexpr const char* scan_rules =
    " along an axis, of the flattened array without one.\n"
    "`reverse` runs from the end; without `inclusive` each result leaves out its own element.";

template <ScanAll all, ScanOne one>
array scan(const array& a, std::optional<int> axis, bool reverse, bool inclusive,
           StreamOrDevice s) {
  return axis ? one(a, *axis, reverse, inclusive, s) : all(a, reverse, inclusive, s);
}

template <ScanAll all, ScanOne one>
void def_scan(nb::module_& m, const char* name, const std::string& what) {
  def_with_method(m, name, &scan<all, one>, "axis"_a = nb::none(), nb::kw_only(),
                  "reverse"_a = false, "inclusive"_a = true, "stream"_a = nb::none(),
                  (what + scan_rules).c_str());
}

using TypedAll = array (*)(const array&, bool, bool, std::optional<Dtype>, StreamOrDevice);
using TypedOne = array (*)(const array&, int, bool, bool, std::optional<Dtype>, StreamOrDevice);

template <TypedAll all, TypedOne one>
void def_typed_scan(nb::module_& m, const char* name, const std::string& what) {
  def_with_method(
      m, name,
      [](const array& a, std::optional<int> axis, bool reverse, bool inclusive,
         std::optional<Dtype> dtype, StreamOrDevice s) {
        return axis ? one(a, *axis, reverse, inclusive, dtype, s)
                    : all(a, reverse, inclusive, dtype, s);
      },
      "axis"_a = nb::none(), nb::kw_only(), "reverse"_a = false, "inclusive"_a = true,
      "dtype"_a = nb::none(), "stream"_a = nb::none(), (what + scan_rules).c_str());
}

using OrderAll = array (*)(const array&, StreamOrDevice);
using OrderOne = array (*)(const array&, int, StreamOrDevice);
using SplitAll = array (*)(const array&, int, StreamOrDevice);
using SplitOne = array (*)(const array&, int, int, StreamOrDevice);

/** Sorts work on the last axis unless told otherwise; None means the flattened array. */
template <OrderAll all, OrderOne one>
void def_order(nb::module_& m, const char* name, const char* doc) {
  m.def(
      name,
      [](const array& a, std::optional<int> axis, StreamOrDevice s) {
        return axis ? one(a, *axis, s) : all(a, s);
      },
      "a"_a, "axis"_a.none() = -1, nb::kw_only(), "stream"_a = nb::none(), doc);
}

template <SplitAll all, SplitOne one>
void def_selection(nb::module_& m, const char* name, const char* count, const char* doc) {
  m.def(
      name,
      [](const array& a, int k, std::optional<int> axis, StreamOrDevice s) {
        return axis ? one(a, k, *axis, s) : all(a, k, s);
      },
      "a"_a, nb::arg(count), "axis"_a.none() = -1, nb::kw_only(), "stream"_a = nb::none(), doc);
}

}  // namespace

void bind_scan(nb::module_& m) {
  def_typed_scan<cumsum, cumsum>(m, "cumsum", "Running sums");
  def_typed_scan<cumprod, cumprod>(m, "cumprod", "Running products");
  def_scan<cummax, cummax>(m, "cummax", "Running maxima");
  def_scan<cummin, cummin>(m, "cummin", "Running minima");
  def_scan<logcumsumexp, logcumsumexp>(m, "logcumsumexp",
                                       "Logarithms of running sums of exponentials");
  def_alias(m, "cumulative_sum", "cumsum");
  def_alias(m, "cumulative_prod", "cumprod");
  m.def("diff", &diff, "a"_a, "n"_a = 1, "axis"_a = -1, nb::kw_only(), "stream"_a = nb::none(),
        "Differences of neighbours along an axis, taken n times; the axis gets n shorter.");
}

void bind_sort(nb::module_& m) {
  def_order<sort, sort>(m, "sort", "The elements in ascending order along an axis; NaN come last.");
  def_order<argsort, argsort>(m, "argsort",
                              "The positions (uint32) that would sort the array along an axis.");
  def_selection<partition, partition>(
      m, "partition", "kth",
      "The elements reordered along an axis so that position `kth` holds what sorting would put\n"
      "there, with smaller ones before it and larger ones after it.");
  def_selection<argpartition, argpartition>(m, "argpartition", "kth",
                                            "The positions (uint32) that `partition` would take.");
  def_selection<topk, topk>(m, "topk", "k",
                            "The k largest elements along an axis, in no particular order.");
  m.def(
      "unique",
      [](const array& a, int size, bool index, bool inverse, bool counts,
         const std::optional<Operand>& fill, StreamOrDevice s) -> nb::object {
        std::optional<array> value;
        if (fill) {
          value = to_array(*fill, a.dtype());
        }
        auto parts = unique(a, size, index, inverse, counts, value, s);
        return parts.size() == 1 ? nb::cast(parts[0]) : nb::object(nb::tuple(nb::cast(parts)));
      },
      "a"_a, "size"_a, "return_index"_a = false, "return_inverse"_a = false,
      "return_counts"_a = false, "fill_value"_a = nb::none(), nb::kw_only(),
      "stream"_a = nb::none(),
      "The sorted distinct elements, cut or filled up to `size`, and on request where each first\n"
      "occurs, which of them each element is, and how often each occurs.");
  m.def(
      "searchsorted",
      [](const array& sorted, Operand values, const std::string& side, StreamOrDevice s) {
        return searchsorted(sorted, to_array(values, sorted.dtype()), side, s);
      },
      "sorted_sequence"_a, "values"_a, "side"_a = "left", nb::kw_only(), "stream"_a = nb::none(),
      "Where `values` would go in a sorted 1-d array to keep it sorted: before equal elements\n"
      "('left') or after them ('right').");
}

}  // namespace mlx::python
