// From a Python key to slices and index arrays.
#include "python/src/index_key.h"

#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/ops/mask.h"
#include "python/src/convert.h"

namespace mlx::python {

namespace {

constexpr const char* op = "index";

bool is_list_like(nb::handle h) { return PyList_Check(h.ptr()) || PyTuple_Check(h.ptr()); }

/** An array given as index: ours, NumPy's, or a list. Nothing for other types. */
std::optional<array> as_index_array(nb::handle h) {
  if (auto* a = as_array(h)) {
    return *a;
  }
  if (PyBool_Check(h.ptr())) {
    return array(h.ptr() == Py_True);
  }
  if (!is_list_like(h)) {
    // NumPy's scalars are ints; its arrays claim to be, but only those of one element are.
    int64_t number;
    bool has_memory = !PyLong_Check(h.ptr()) && !PySlice_Check(h.ptr()) &&
                      (nb::hasattr(h, "__array__") || nb::hasattr(h, "__dlpack__") ||
                       nb::hasattr(h, "__mlx_array__"));
    if (!has_memory || load_int(h.ptr(), number)) {
      return std::nullopt;
    }
  }
  array made = make_array(h);
  return made.size() == 0 && is_list_like(h) ? astype(made, int32) : made;
}

/** One entry of a key. It uses up one axis, or `mask.ndim()` axes, or none for a new axis. */
struct Item {
  enum class Kind { integer, slice, new_axis, array } kind;
  nb::handle value;
  std::optional<array> index = std::nullopt;

  bool is_mask() const { return index && index->dtype() == bool_; }
  size_t axes() const { return kind == Kind::new_axis ? 0 : is_mask() ? index->ndim() : 1; }
};

Item classify(nb::handle h) {
  if (h.is_none()) {
    return {Item::Kind::new_axis, h};
  }
  if (PySlice_Check(h.ptr())) {
    return {Item::Kind::slice, h};
  }
  if (auto a = as_index_array(h)) {
    if (a->dtype() != bool_) {
      check(issubdtype(a->dtype(), integer), op, "Index arrays must be integer or bool, got ",
            a->dtype(), ".");
    }
    return {Item::Kind::array, h, std::move(a)};
  }
  check(is_integer(h.ptr()), op, "Cannot index an array with a value of type ",
        Py_TYPE(h.ptr())->tp_name, ".");
  return {Item::Kind::integer, h};
}

/** The entries of a key, with the ellipsis replaced by full slices up to all axes. */
std::vector<Item> list_items(const array& a, nb::handle key, nb::handle full_slice) {
  nb::object entries = PyTuple_Check(key.ptr()) ? nb::borrow(key) : nb::make_tuple(key);
  std::vector<Item> items;
  size_t used = 0;
  std::optional<size_t> ellipsis;
  for (nb::handle h : nb::borrow<nb::tuple>(entries)) {
    if (h.ptr() == Py_Ellipsis) {
      check(!ellipsis, op, "An index can only have a single ellipsis.");
      ellipsis = items.size();
      continue;
    }
    items.push_back(classify(h));
    used += items.back().axes();
  }
  check(used <= a.ndim(), op, "Too many indices (", used, ") for an array of shape ", a.shape(),
        ".");
  items.insert(items.begin() + ellipsis.value_or(items.size()), a.ndim() - used,
               Item{Item::Kind::slice, full_slice});
  return items;
}

class Resolver {
 public:
  Resolver(const array& a, std::vector<Item> items) : array_(a), items_(std::move(items)) {
    for (auto& item : items_) {
      has_arrays_ |= item.kind == Item::Kind::array;
    }
  }

  IndexKey resolve() {
    for (auto& item : items_) {
      switch (item.kind) {
        case Item::Kind::new_axis:
          add_new_axis();
          break;
        case Item::Kind::integer:
          add_integer(item.value);
          break;
        case Item::Kind::slice:
          add_slice(item.value);
          break;
        case Item::Kind::array:
          add_array(item);
          break;
      }
    }
    return std::move(key_);
  }

 private:
  int axis() const { return static_cast<int>(key_.start.size()); }
  int64_t extent() const { return array_.shape(source_axis_); }

  static int64_t clamp(Py_ssize_t bound) {
    return std::clamp<Py_ssize_t>(bound, INT32_MIN, INT32_MAX);
  }

  void push(int64_t start, int64_t stop, int64_t step) {
    key_.start.push_back(static_cast<ShapeElem>(start));
    key_.stop.push_back(static_cast<ShapeElem>(stop));
    key_.step.push_back(static_cast<ShapeElem>(step));
  }

  void push_whole_axis() {
    push(0, INT32_MAX, 1);
    source_axis_++;
  }

  void add_new_axis() {
    key_.new_axes.push_back(axis());
    push(0, 1, 1);
  }

  void add_integer(nb::handle value) {
    int64_t n = extent();
    int64_t i;
    if (!load_int(value.ptr(), i) || i < -n || i >= n) {
      throw std::out_of_range(error_message(op, "Index ", nb::str(value).c_str(),
                                            " is out of bounds for axis ", source_axis_,
                                            " of an array of shape ", array_.shape(), "."));
    }
    if (has_arrays_) {
      key_.arrays.push_back({axis(), array(static_cast<int32_t>(i))});
      push_whole_axis();
      return;
    }
    key_.dropped.push_back(axis());
    push(i, i == -1 ? INT32_MAX : i + 1, 1);
    key_.whole = false;
    source_axis_++;
  }

  void add_slice(nb::handle value) {
    Py_ssize_t start;
    Py_ssize_t stop;
    Py_ssize_t step;
    if (PySlice_Unpack(value.ptr(), &start, &stop, &step) < 0) {
      throw nb::python_error();
    }
    // Bounds stay as given, so that a graph run with other shapes cuts there too; extents are below
    // 2^31, which makes the clamped ones mean the same.
    push(clamp(start), clamp(stop), clamp(step));
    key_.whole = key_.whole && start == 0 && stop >= INT32_MAX && step == 1;
    source_axis_++;
  }

  void add_array(const Item& item) {
    if (!item.is_mask()) {
      key_.arrays.push_back({axis(), *item.index});
      push_whole_axis();
      return;
    }
    const array& mask = *item.index;
    if (mask.ndim() == 0) {
      bool taken = nb::cast<bool>(to_scalar(mask));
      key_.arrays.push_back({axis(), zeros({taken ? 1 : 0}, int32)});
      add_new_axis();
      return;
    }
    for (size_t k = 0; k < mask.ndim(); k++) {
      check(mask.shape()[k] == array_.shape(source_axis_ + static_cast<int>(k)), op,
            "A mask of shape ", mask.shape(), " does not fit axes from ", source_axis_,
            " on of an array of shape ", array_.shape(), ".");
    }
    for (auto& positions : detail::true_positions(mask, count_true(mask))) {
      key_.arrays.push_back({axis(), positions});
      push_whole_axis();
    }
  }

  const array& array_;
  std::vector<Item> items_;
  bool has_arrays_ = false;
  int source_axis_ = 0;
  IndexKey key_;
};

}  // namespace

IndexKey resolve_key(const array& a, nb::handle key) {
  auto full_slice = nb::steal(PySlice_New(nullptr, nullptr, nullptr));
  return Resolver(a, list_items(a, key, full_slice)).resolve();
}

int64_t count_true(const array& mask) {
  array number = detail::count_true(mask);
  eval_unlocked(number);
  return number.item<int64_t>();
}

std::optional<array> as_mask(nb::handle key) {
  if (PyTuple_Check(key.ptr())) {
    return std::nullopt;
  }
  if (key.is_none() || PySlice_Check(key.ptr()) || PyLong_CheckExact(key.ptr())) {
    return std::nullopt;
  }
  auto a = as_index_array(key);
  return a && a->dtype() == bool_ && a->ndim() > 0 ? a : std::nullopt;
}

}  // namespace mlx::python
