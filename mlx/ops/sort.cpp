// Sorting and searching: checks, and the axis brought last, where the primitives work.
#include "mlx/primitives/sort.h"

#include <limits>

#include "mlx/core/axes.h"
#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

/** Applies `node` to `a` along `axis`. */
array along_last(const array& a, int axis, bool positions, std::shared_ptr<Primitive> node,
                 StreamOrDevice s) {
  int last = static_cast<int>(a.ndim()) - 1;
  array x = axis == last ? a : swapaxes(a, axis, last, s);
  array out(x.shape(), positions ? uint32 : x.dtype(), std::move(node), {x});
  return axis == last ? out : swapaxes(out, axis, last, s);
}

array sort(const char* name, const array& a, int axis, bool positions, StreamOrDevice s) {
  axis = detail::checked_axis(name, a, axis);
  return along_last(a, axis, positions, std::make_shared<Sort>(to_stream(s), positions), s);
}

array partition(const char* name, const array& a, int kth, int axis, bool positions,
                StreamOrDevice s) {
  axis = detail::checked_axis(name, a, axis);
  int n = a.shape(axis);
  check(kth >= -n && kth < n, name, "kth is ", kth, " but axis ", axis, " of shape ", a.shape(),
        " has ", n, " elements.");
  auto node = std::make_shared<Partition>(to_stream(s), positions, kth < 0 ? kth + n : kth);
  return along_last(a, axis, positions, std::move(node), s);
}

}  // namespace

array sort(const array& a, int axis, StreamOrDevice s) { return sort("sort", a, axis, false, s); }
array sort(const array& a, StreamOrDevice s) { return sort(flatten(a, s), 0, s); }

array argsort(const array& a, int axis, StreamOrDevice s) {
  return sort("argsort", a, axis, true, s);
}
array argsort(const array& a, StreamOrDevice s) { return argsort(flatten(a, s), 0, s); }

array partition(const array& a, int kth, int axis, StreamOrDevice s) {
  return partition("partition", a, kth, axis, false, s);
}
array partition(const array& a, int kth, StreamOrDevice s) {
  return partition(flatten(a, s), kth, 0, s);
}

array argpartition(const array& a, int kth, int axis, StreamOrDevice s) {
  return partition("argpartition", a, kth, axis, true, s);
}
array argpartition(const array& a, int kth, StreamOrDevice s) {
  return argpartition(flatten(a, s), kth, 0, s);
}

array topk(const array& a, int k, int axis, StreamOrDevice s) {
  axis = detail::checked_axis("topk", a, axis);
  int n = a.shape(axis);
  check(k >= 0 && k <= n, "topk", "k is ", k, " but axis ", axis, " of shape ", a.shape(), " has ",
        n, " elements.");
  if (k == n) {
    return a;
  }
  Shape start(a.ndim(), 0);
  start[axis] = n - k;
  array parted = k == 0 ? a : partition(a, n - k, axis, s);
  return slice(parted, start, a.shape(), s);
}
array topk(const array& a, int k, StreamOrDevice s) { return topk(flatten(a, s), k, 0, s); }

array searchsorted(const array& sorted_sequence, const array& values, const std::string& side,
                   StreamOrDevice s) {
  check(side == "left" || side == "right", "searchsorted", "side must be 'left' or 'right', not '",
        side, "'.");
  check(sorted_sequence.ndim() == 1, "searchsorted",
        "the sorted sequence must have one dimension, but its shape is ", sorted_sequence.shape(),
        ".");
  Dtype dtype = promote_types(sorted_sequence.dtype(), values.dtype());
  return array(values.shape(), uint32,
               std::make_shared<SearchSorted>(to_stream(s), side == "right"),
               {astype(sorted_sequence, dtype, s), astype(values, dtype, s)});
}

std::vector<array> unique(const array& a, int size, bool return_index, bool return_inverse,
                          bool return_counts, const std::optional<array>& fill_value,
                          StreamOrDevice s) {
  check(size >= 0, "unique", "size must not be negative but is ", size, ".");
  check(a.size() > 0 || size == 0 || fill_value, "unique",
        "an empty array has no distinct values to fill ", size, " slots; give a fill value.");
  check(a.size() <= std::numeric_limits<int>::max(), "unique", "too many elements in shape ",
        a.shape(), ".");
  array flat = flatten(a, s);
  auto found = array::make_arrays({Shape{size}, flat.shape(), Shape{size}}, {uint32, uint32, int32},
                                  std::make_shared<Unique>(to_stream(s), size), {flat});
  array fill = fill_value ? astype(*fill_value, a.dtype(), s) : array(0, a.dtype());
  array values = a.size() == 0 ? broadcast_to(fill, {size}, s) : take(flat, found[0], s);
  if (fill_value && a.size() > 0) {
    values = where(equal(found[2], array(0), s), fill, values, s);
  }
  std::vector<array> results{values};
  if (return_index) results.push_back(found[0]);
  if (return_inverse) results.push_back(reshape(found[1], a.shape(), s));
  if (return_counts) results.push_back(found[2]);
  return results;
}

}  // namespace mlx::core
