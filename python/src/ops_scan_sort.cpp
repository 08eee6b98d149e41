// Cumulative ops, sorting and searching.
#include "mlx/core/errors.h"
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

/** The scan by the array API's rules: small ints widen as in sums, and `include_initial` puts what
 *  the scan begins with in front. */
template <TypedAll all, TypedOne one, auto total>
void def_cumulative(nb::module_& m, const char* name, int first, const std::string& what) {
  m.def(
      name,
      [name, first](const array& a, std::optional<int> axis, bool reverse, bool inclusive,
                    std::optional<Dtype> dtype, bool include_initial, StreamOrDevice s) {
        Dtype t = dtype.value_or(total(a));
        if (!include_initial) {
          return axis ? one(a, *axis, reverse, inclusive, t, s) : all(a, reverse, inclusive, t, s);
        }
        check(!reverse && inclusive, name, "`include_initial` goes with plain scans.");
        check(axis || a.ndim() <= 1, name, "An array of shape ", a.shape(), " needs an axis.");
        array x = atleast_1d(a, s);
        int at = normalize_axis_index(axis.value_or(0), static_cast<int>(x.ndim()), name);
        Shape edge = x.shape();
        edge[at] = 1;
        return concatenate({full(edge, array(first), t, s), one(x, at, false, true, t, s)}, at, s);
      },
      "a"_a, "axis"_a = nb::none(), nb::kw_only(), "reverse"_a = false, "inclusive"_a = true,
      "dtype"_a = nb::none(), "include_initial"_a = false, "stream"_a = nb::none(),
      (what + scan_rules +
       "\nIntegers narrower than 32 bits and bools widen. `include_initial` puts the scan of no\n"
       "elements in front.")
          .c_str());
}

Dtype sum_type(const array& a) { return sum(a).dtype(); }
Dtype prod_type(const array& a) { return prod(a).dtype(); }

using SplitAll = array (*)(const array&, int, StreamOrDevice);
using SplitOne = array (*)(const array&, int, int, StreamOrDevice);

/** Sorts work on the last axis unless told otherwise; None means the flattened array. */
array sort_by(const array& a, std::optional<int> axis, bool descending, bool, StreamOrDevice s) {
  array out = axis ? sort(a, *axis, s) : sort(a, s);
  return descending ? flip(out, axis.value_or(0), s) : out;
}

/** Descending order keeps equal elements in the order that they have: it is the order of the
 *  reversed array, counted from the other end. */
array argsort_by(const array& a, std::optional<int> axis, bool descending, bool, StreamOrDevice s) {
  if (!descending) {
    return axis ? argsort(a, *axis, s) : argsort(a, s);
  }
  array x = axis ? a : flatten(a, s);
  int at = normalize_axis_index(axis.value_or(0), static_cast<int>(x.ndim()), "[argsort] ");
  array backwards = argsort(flip(x, at, s), at, s);
  return flip(subtract(array(x.shape(at) - 1, uint32), backwards, s), at, s);
}

using OrderBy = array (*)(const array&, std::optional<int>, bool, bool, StreamOrDevice);

void def_order(nb::module_& m, const char* name, OrderBy op, const char* doc) {
  m.def(name, op, "a"_a, "axis"_a.none() = -1, nb::kw_only(), "descending"_a = false,
        "stable"_a = true, "stream"_a = nb::none(), doc);
}

array search_by(const array& sorted, Operand values, const std::string& side,
                const std::optional<array>& sorter, StreamOrDevice s) {
  array ordered = sorter ? take(sorted, *sorter, 0, s) : sorted;
  return searchsorted(ordered, to_array(values, sorted.dtype()), side, s);
}

array diff_by(const array& a, int n, int axis, const std::optional<array>& prepend,
              const std::optional<array>& append, StreamOrDevice s) {
  std::vector<array> parts{a};
  if (prepend) {
    parts.insert(parts.begin(), *prepend);
  }
  if (append) {
    parts.push_back(*append);
  }
  return diff(parts.size() == 1 ? a : concatenate(parts, axis, s), n, axis, s);
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
  def_cumulative<cumsum, cumsum, sum_type>(m, "cumulative_sum", 0, "Running sums");
  def_cumulative<cumprod, cumprod, prod_type>(m, "cumulative_prod", 1, "Running products");
  m.def(
      "diff", &diff_by, "a"_a, "n"_a = 1, "axis"_a = -1, nb::kw_only(), "prepend"_a = nb::none(),
      "append"_a = nb::none(), "stream"_a = nb::none(),
      "Differences of neighbours along an axis, taken n times; the axis gets n shorter. `prepend`\n"
      "and `append` are put before and behind `a` first.");
}

void bind_sort(nb::module_& m) {
  def_order(
      m, "sort", &sort_by,
      "The elements in ascending order along an axis, NaN last; `descending` turns it round.");
  def_order(m, "argsort", &argsort_by,
            "The positions (uint32) that would sort the array along an axis; equal elements keep\n"
            "their order, also with `descending`.");
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
  m.def("searchsorted", &search_by, "sorted_sequence"_a, "values"_a, "side"_a = "left",
        nb::kw_only(), "sorter"_a = nb::none(), "stream"_a = nb::none(),
        "Where `values` would go in a sorted 1-d array to keep it sorted: before equal elements\n"
        "('left') or after them ('right'). `sorter` holds the positions that sort the array.");
}

}  // namespace mlx::python
