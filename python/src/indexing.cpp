// Reading and writing parts of arrays: `x[key]`, `x[key] = value` and `x.at[key].add(value)`.
#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/ops/mask.h"
#include "python/src/convert.h"
#include "python/src/index_key.h"

namespace mlx::python {

namespace {

array with_new_axes(const array& a, const IndexKey& key) {
  return key.new_axes.empty() ? a : expand_dims(a, key.new_axes);
}

array cut_block(const array& a, const IndexKey& key) {
  return key.whole ? a : slice(a, key.start, key.stop, key.step);
}

/** Where the common axes of the index arrays go: in place if they are neighbours, else in front. */
struct Placement {
  size_t index_ndim = 0;
  size_t position = 0;
};

Placement placement(const IndexKey& key) {
  Placement p;
  bool neighbours = true;
  for (size_t i = 0; i < key.arrays.size(); i++) {
    p.index_ndim = std::max(p.index_ndim, key.arrays[i].index.ndim());
    neighbours &= i == 0 || key.arrays[i].axis == key.arrays[i - 1].axis + 1;
  }
  p.position = neighbours ? key.arrays[0].axis : 0;
  return p;
}

std::vector<array> index_arrays(const IndexKey& key) {
  std::vector<array> out;
  for (auto& a : key.arrays) {
    out.push_back(a.index);
  }
  return out;
}

std::vector<int> index_axes(const IndexKey& key, size_t shift = 0) {
  std::vector<int> out;
  for (auto& a : key.arrays) {
    out.push_back(a.axis + static_cast<int>(shift));
  }
  return out;
}

/** The order of axes that moves `count` leading axes to `position`. */
std::vector<int> move_leading(size_t ndim, size_t count, size_t position) {
  std::vector<int> order;
  for (size_t i = 0; i < ndim; i++) {
    bool leading = i >= position && i < position + count;
    order.push_back(static_cast<int>(leading ? i - position : i < position ? i + count : i));
  }
  return order;
}

/** The shape of what the index arrays pick. */
Shape picked_shape(const array& block, const IndexKey& key) {
  Shape common, result;
  for (auto& a : key.arrays) {
    common = broadcast_shapes(common, a.index.shape());
  }
  size_t next = 0;
  for (size_t i = 0; i < block.ndim(); i++) {
    if (next < key.arrays.size() && key.arrays[next].axis == static_cast<int>(i)) {
      next++;
    } else {
      result.push_back(block.shape()[i]);
    }
  }
  result.insert(result.begin() + placement(key).position, common.begin(), common.end());
  return result;
}

/** Whether there is nothing to pick from and nothing is: gather and scatter ask for a slice. */
bool picks_nothing(const array& block, const IndexKey& key) {
  auto is_empty = [](const auto& a) { return a.index.size() == 0; };
  return block.size() == 0 && std::any_of(key.arrays.begin(), key.arrays.end(), is_empty);
}

array gather_block(const array& block, const IndexKey& key) {
  if (picks_nothing(block, key)) {
    return zeros(picked_shape(block, key), block.dtype());
  }
  if (key.arrays.size() == 1) {
    return take(block, key.arrays[0].index, key.arrays[0].axis);
  }
  Placement p = placement(key);
  Shape sizes = block.shape();
  for (auto& a : key.arrays) {
    sizes[a.axis] = 1;
  }
  array out = gather(block, index_arrays(key), index_axes(key), sizes);
  out = squeeze(out, index_axes(key, p.index_ndim));
  return p.position == 0 ? out : transpose(out, move_leading(out.ndim(), p.index_ndim, p.position));
}

array read_masked(const array& a, const array& mask) {
  detail::check_mask("index", a, mask);
  return detail::select_true(a, mask, count_true(mask));
}

array get_item(const array& a, nb::handle index) {
  int64_t i;
  if (PyLong_CheckExact(index.ptr()) && a.ndim() > 0 && load_int(index.ptr(), i) && i >= 0 &&
      i < a.shape(0)) {
    return take(a, static_cast<int>(i), 0);
  }
  if (auto* given = as_array(index); given && a.ndim() > 0) {
    if (given->dtype() == bool_ && given->ndim() > 0) {
      return read_masked(a, *given);
    }
    if (issubdtype(given->dtype(), integer)) {
      return take(a, *given, 0);
    }
  }
  IndexKey key = resolve_key(a, index);
  array block = cut_block(with_new_axes(a, key), key);
  if (!key.arrays.empty()) {
    return gather_block(block, key);
  }
  return key.dropped.empty() ? block : squeeze(block, key.dropped);
}

// ------------------------------------------------------------------ writing

/** How new values meet old ones; each with its op for slices and for index arrays. */
struct Update {
  array (*slices)(const array&, const array&, Shape, Shape, Shape, StreamOrDevice);
  array (*indices)(const array&, const std::vector<array>&, const array&, const std::vector<int>&,
                   StreamOrDevice);
};

constexpr Update replace = {slice_update, scatter};
constexpr Update sum_up = {slice_update_add, scatter_add};
constexpr Update multiply_by = {slice_update_prod, scatter_prod};
constexpr Update take_maximum = {slice_update_max, scatter_max};
constexpr Update take_minimum = {slice_update_min, scatter_min};

array drop_leading_ones(const array& value, size_t ndim) {
  array out = value;
  while (out.ndim() > ndim && out.shape(0) == 1) {
    out = squeeze(out, 0);
  }
  return out;
}

array write_block(const array& a, const IndexKey& key, const array& value, const Update& update) {
  // Axes that ints dropped come back into the value, counted from its end.
  array fitting = value;
  if (!key.dropped.empty()) {
    size_t result_ndim = a.ndim() - key.dropped.size();
    fitting = drop_leading_ones(value, result_ndim);
    check(fitting.ndim() <= result_ndim, "index", "A value of shape ", value.shape(),
          " does not fit the indexed part of an array of shape ", a.shape(), ".");
    std::vector<int> missing(result_ndim - fitting.ndim());
    for (size_t i = 0; i < missing.size(); i++) {
      missing[i] = static_cast<int>(i);
    }
    fitting = expand_dims(missing.empty() ? fitting : expand_dims(fitting, missing), key.dropped);
  }
  return update.slices(a, fitting, key.start, key.stop, key.step, {});
}

/** The value in the layout that scatter takes: axes of the index arrays, then those of the array.
 */
array scatter_values(const array& block, const IndexKey& key, const array& value) {
  Placement p = placement(key);
  Shape result = picked_shape(block, key);
  array full = broadcast_to(drop_leading_ones(value, result.size()), result);
  if (p.position > 0) {
    std::vector<int> order = move_leading(result.size(), p.index_ndim, p.position);
    std::vector<int> inverse(order.size());
    for (size_t i = 0; i < order.size(); i++) {
      inverse[order[i]] = static_cast<int>(i);
    }
    full = transpose(full, inverse);
  }
  return expand_dims(full, index_axes(key, p.index_ndim));
}

array update_item(const array& a, nb::handle index, const array& value, const Update& update) {
  IndexKey key = resolve_key(a, index);
  array whole = with_new_axes(a, key);
  array out = whole;
  if (key.arrays.empty()) {
    out = write_block(whole, key, value, update);
  } else {
    array block = cut_block(whole, key);
    array values = scatter_values(block, key, value);
    out = picks_nothing(block, key)
              ? block
              : update.indices(block, index_arrays(key), values, index_axes(key), {});
    out = key.whole ? out : slice_update(whole, out, key.start, key.stop, key.step);
  }
  return key.new_axes.empty() ? out : squeeze(out, key.new_axes);
}

array take_rows(const array& a, ShapeElem count) {
  Shape stop = a.shape();
  stop[0] = count;
  return slice(a, Shape(a.ndim(), 0), stop);
}

/** One mask over the leading axes. Its true elements are counted only where the value has a row for
 *  each of them, and not in a traced function, where the number of rows is checked as it runs. */
array write_masked(const array& a, const array& mask, const array& value) {
  detail::check_mask("index", a, mask);
  size_t trailing = a.ndim() - mask.ndim();
  array fitting = drop_leading_ones(value, trailing);
  if (fitting.ndim() <= trailing) {
    std::vector<int> axes(trailing);
    for (size_t i = 0; i < trailing; i++) {
      axes[i] = static_cast<int>(mask.ndim() + i);
    }
    array fits = where(trailing ? expand_dims(mask, axes) : mask, fitting, a);
    check(fits.shape() == a.shape(), "index", "A value of shape ", value.shape(),
          " does not fit the masked part of an array of shape ", a.shape(), ".");
    return fits;
  }
  if (mask.is_tracer()) {
    return masked_scatter(a, mask, fitting);
  }
  Shape rows = a.shape();
  rows.erase(rows.begin(), rows.begin() + static_cast<int64_t>(mask.ndim()));
  auto count = static_cast<ShapeElem>(count_true(mask));
  rows.insert(rows.begin(), count);
  if (fitting.ndim() == rows.size() && fitting.shape(0) > count) {  // the first ones are taken
    fitting = take_rows(fitting, count);
  }
  return detail::scatter_true(a, mask, broadcast_to(fitting, rows));
}

array value_for(const array& a, nb::handle value) { return make_value(value, a.dtype()); }

void set_item(array& a, nb::handle index, nb::handle value) {
  array v = value_for(a, value);
  if (auto mask = as_mask(index)) {
    a.overwrite_descriptor(write_masked(a, *mask, v));
    return;
  }
  a.overwrite_descriptor(update_item(a, index, v, replace));
}

/** `x.at`, and with a key `x.at[key]`. */
class ArrayAt {
 public:
  explicit ArrayAt(array a) : array_(std::move(a)) {}

  ArrayAt at(nb::object key) const {
    ArrayAt out(array_);
    out.key_ = std::move(key);
    return out;
  }
  array apply(nb::handle value, const Update& update) const {
    return update_item(array_, key(), value_for(array_, value), update);
  }
  array subtract(nb::handle value) const {
    return update_item(array_, key(), negative(value_for(array_, value)), sum_up);
  }
  array divide(nb::handle value) const {
    array v = value_for(array_, value);
    if (issubdtype(array_.dtype(), inexact)) {
      return update_item(array_, key(), reciprocal(v), multiply_by);
    }
    return update_item(array_, key(), floor_divide(get_item(array_, key()), v), replace);
  }

 private:
  nb::handle key() const {
    if (!key_) {
      throw std::invalid_argument("[at] Must give an index first: x.at[index].add(value).");
    }
    return key_;
  }

  array array_;
  nb::object key_;
};

template <const Update& update>
array apply_update(const ArrayAt& at, nb::handle value) {
  return at.apply(value, update);
}

}  // namespace

void bind_indexing(nb::module_& m, nb::class_<array>& cls) {
  nb::class_<ArrayAt>(m, "ArrayAt",
                      "Updates that count every index: `x.at[index].add(value)` gives a new array\n"
                      "in which repeated indices accumulate.")
      .def("__getitem__", &ArrayAt::at, "indices"_a.none())
      .def("add", &apply_update<sum_up>, "value"_a, "Adds to the indexed elements.")
      .def("subtract", &ArrayAt::subtract, "value"_a, "Subtracts from the indexed elements.")
      .def("multiply", &apply_update<multiply_by>, "value"_a, "Multiplies the indexed elements.")
      .def("divide", &ArrayAt::divide, "value"_a, "Divides the indexed elements.")
      .def("maximum", &apply_update<take_maximum>, "value"_a,
           "Raises the indexed elements to at least the value.")
      .def("minimum", &apply_update<take_minimum>, "value"_a,
           "Lowers the indexed elements to at most the value.");
  cls.def("__getitem__", &get_item, nb::arg().none())
      .def("__setitem__", &set_item, nb::arg().none(), nb::arg())
      .def_prop_ro(
          "at", [](const array& a) { return ArrayAt(a); },
          "Updates at indices that accumulate: `x.at[index].add(value)`.");
}

}  // namespace mlx::python
