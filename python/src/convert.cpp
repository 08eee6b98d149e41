// Construction of arrays from Python numbers, nested sequences and foreign buffers.
#include "python/src/convert.h"
#include "python/src/gil.h"

#include <cstring>
#include <string>
#include <utility>

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "python/src/foreign.h"

namespace mlx::python {

namespace {

[[noreturn]] void fail_type(nb::handle value) {
  std::string name = Py_TYPE(value.ptr())->tp_name;
  throw std::invalid_argument("[array] Cannot make an array from a value of type " + name + ".");
}

/** The array that an object offers through `__mlx_array__`, if it does. */
std::optional<array> from_protocol(nb::handle value) {
  if (!nb::hasattr(value, "__mlx_array__")) {
    return std::nullopt;
  }
  nb::object made = call_python(value.attr("__mlx_array__"));
  if (auto* a = as_array(made)) {
    return *a;
  }
  fail_type(made);
}

bool fits(int64_t v, Dtype t) {
  return dispatch_dtype(t, [v](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      return std::in_range<T>(v);
    } else {
      return true;
    }
  });
}

/** Whether an integer dtype holds a Python int. */
bool int_fits(PyObject* value, Dtype t) {
  int overflow = 0;
  int64_t v = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow == 0) {
    return fits(v, t);
  }
  if (overflow < 0 || t != uint64) {
    return false;
  }
  PyLong_AsUnsignedLongLong(value);
  bool is_in_range = !PyErr_Occurred();
  PyErr_Clear();
  return is_in_range;
}

[[noreturn]] void fail_overflow(nb::handle value, Dtype dtype) {
  throw std::invalid_argument("Converting " + std::string(nb::repr(value).c_str()) + " to " +
                              dtype_name(dtype) + " would result in overflow.");
}

/** Leaves of a nested sequence, checked for a regular shape and with the dtype they need. */
class NestedReader {
 public:
  explicit NestedReader(nb::handle root, bool wraps = true) : root_(root), wraps_(wraps) {
    measure(root);
    scan(root, 0);
  }

  array read(std::optional<Dtype> wanted) {
    if (mixes_arrays_) {
      return stack_items(wanted);
    }
    Dtype dtype = wanted.value_or(found_.value_or(float32));
    if (!wraps_ && issubdtype(dtype, integer)) {
      check_range(dtype);
    }
    if (has_arrays_) {
      return stack_arrays(dtype);
    }
    if (dtype == uint64 && integers_only_) {
      return collect<uint64_t>(
          dtype);  // also where ints of both halves of the range promote to float
    }
    switch (kindof(found_.value_or(float32))) {
      case Dtype::Kind::b:
      case Dtype::Kind::i:
        return collect<int64_t>(dtype);
      case Dtype::Kind::u:
        return collect<uint64_t>(dtype);
      case Dtype::Kind::c:
        return collect<complex128_t>(dtype);
      default:
        return collect<double>(dtype);
    }
  }

 private:
  static bool is_sequence(nb::handle h) { return PyList_Check(h.ptr()) || PyTuple_Check(h.ptr()); }

  /** The shape by the first element at each depth. */
  void measure(nb::handle h) {
    if (is_sequence(h)) {
      size_t n = nb::len(h);
      check(n <= INT32_MAX, "array", "A list has too many elements: ", n, ".");
      check(shape_.size() < 64, "array", "Lists are nested too deeply.");
      shape_.push_back(static_cast<ShapeElem>(n));
      if (n > 0) {
        measure(nb::handle(PySequence_Fast_GET_ITEM(h.ptr(), 0)));
      }
      return;
    }
    depth_ = shape_.size();
  }

  void scan(nb::handle h, size_t depth) {
    if (mixes_arrays_) {
      return;
    }
    if (!is_sequence(h)) {
      size_t expected = depth_ ? *depth_ : shape_.size();
      auto* a = as_array(h);
      mixes_arrays_ = a && a->ndim() > 0 && depth != expected;
      check(mixes_arrays_ || depth == expected, "array",
            "Lists of different depth cannot make an array.");
      scan_leaf(h);
      return;
    }
    if (has_arrays_ && depth == shape_.size()) {  // a list where arrays stood before
      mixes_arrays_ = true;
      return;
    }
    auto n = PySequence_Fast_GET_SIZE(h.ptr());
    bool regular = depth < shape_.size() && shape_[depth] == n;
    if (!regular) {
      throw std::invalid_argument("[array] Lists of different length cannot make an array.");
    }
    for (Py_ssize_t i = 0; i < n; i++) {
      if (PySequence_Fast_GET_SIZE(h.ptr()) != n) {
        throw std::invalid_argument("[array] A list changed its length while it was read.");
      }
      nb::object item = nb::borrow(PySequence_Fast_GET_ITEM(h.ptr(), i));
      scan(item, depth + 1);
    }
  }

  /** Leaves are borrowed from their lists until one comes whose conversion may run Python code,
   *  which may change the lists. */
  void add_leaf(nb::handle h) {
    PyTypeObject* type = Py_TYPE(h.ptr());
    bool plain = type == &PyFloat_Type || type == &PyLong_Type || type == &PyBool_Type ||
                 type == &PyComplex_Type || as_array(h);
    if (!plain && !holds_leaves_) {
      holds_leaves_ = true;
      for (nb::handle leaf : leaves_) {
        held_.push_back(nb::borrow(leaf));
      }
    }
    leaves_.push_back(h);
    if (holds_leaves_) {
      held_.push_back(nb::borrow(h));
    }
  }

  void scan_leaf(nb::handle h) {
    add_leaf(h);
    Dtype t = bool_;
    if (auto* a = as_array(h)) {
      has_arrays_ = true;
      t = a->dtype();
    } else if (PyBool_Check(h.ptr())) {
      t = bool_;
    } else if (PyLong_Check(h.ptr())) {
      t = dtype_of_int(h);
    } else if (PyFloat_Check(h.ptr())) {
      t = float32;
    } else if (PyComplex_Check(h.ptr())) {
      t = complex64;
    } else if (is_foreign_array(h) || nb::hasattr(h, "__mlx_array__")) {
      held_.push_back(nb::cast(make_array(h)));
      leaves_.back() = held_.back();
      has_arrays_ = true;
      t = as_array(leaves_.back())->dtype();
    } else {
      fail_type(h);
    }
    found_ = found_ ? promote_types(*found_, t) : t;
    integers_only_ = integers_only_ && (t == bool_ || issubdtype(t, integer));
  }

  static Dtype dtype_of_int(nb::handle h) {
    int overflow = 0;
    long long v = PyLong_AsLongLongAndOverflow(h.ptr(), &overflow);
    if (overflow != 0) {
      PyLong_AsUnsignedLongLong(h.ptr());
      bool fits = !PyErr_Occurred();
      PyErr_Clear();
      check(fits, "array", "The int ", nb::repr(h).c_str(), " does not fit into 64 bits.");
      return uint64;
    }
    return v < INT32_MIN || v > INT32_MAX ? int64 : int32;
  }

  void check_range(Dtype dtype) const {
    for (auto h : leaves_) {
      if (PyLong_Check(h.ptr()) && !int_fits(h.ptr(), dtype)) {
        fail_overflow(h, dtype);
      }
    }
  }

  template <typename T>
  static T value_of(nb::handle h) {
    if constexpr (std::is_same_v<T, complex128_t>) {
      Py_complex c = PyComplex_AsCComplex(h.ptr());
      return {c.real, c.imag};
    } else if constexpr (std::is_same_v<T, double>) {
      return PyFloat_AsDouble(h.ptr());
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      return PyLong_AsUnsignedLongLongMask(h.ptr());
    } else {
      return PyLong_AsLongLong(h.ptr());
    }
  }

  template <typename T>
  array collect(Dtype dtype) {
    std::vector<T> values;
    values.reserve(leaves_.size());
    for (auto h : leaves_) {
      values.push_back(value_of<T>(h));
    }
    if (PyErr_Occurred()) {
      throw nb::python_error();
    }
    return array(values.begin(), shape_, dtype);
  }

  array stack_arrays(Dtype dtype) {
    std::vector<array> parts;
    for (auto h : leaves_) {
      parts.push_back(make_array(h, dtype));
      check(parts.back().shape() == parts[0].shape(), "array", "Arrays of shapes ",
            parts[0].shape(), " and ", parts.back().shape(), " in one list cannot make an array.");
    }
    Shape shape = shape_;
    shape.insert(shape.end(), parts[0].shape().begin(), parts[0].shape().end());
    return reshape(stack(parts, 0), shape);
  }

  /** Of lists beside arrays, each makes an array of its own. */
  array stack_items(std::optional<Dtype> wanted) {
    std::vector<array> parts;
    std::optional<Dtype> common;
    for (nb::handle item : nb::borrow<nb::sequence>(root_)) {
      parts.push_back(wraps_ || !wanted ? make_array(item, wanted) : make_value(item, *wanted));
      check(parts.back().shape() == parts[0].shape(), "array", "Parts of shapes ", parts[0].shape(),
            " and ", parts.back().shape(), " in one list cannot make an array.");
      Dtype t = parts.back().dtype();
      common = common ? promote_types(*common, t) : t;
    }
    for (auto& part : parts) {
      part = astype(part, *common);
    }
    return stack(parts, 0);
  }

  nb::handle root_;
  Shape shape_;
  std::optional<size_t> depth_;
  std::optional<Dtype> found_;
  bool wraps_;
  bool has_arrays_ = false;
  bool mixes_arrays_ = false;
  bool integers_only_ = true;
  std::vector<nb::handle> leaves_;
  bool holds_leaves_ = false;
  std::vector<nb::object> held_;
};

// ------------------------------------------------------------------ weak operands

/** bool < int < float < complex; the partner of a weak operand keeps its dtype up to its rank. */
int rank(Dtype t) {
  switch (kindof(t)) {
    case Dtype::Kind::b:
      return 0;
    case Dtype::Kind::u:
    case Dtype::Kind::i:
      return 1;
    case Dtype::Kind::c:
      return 3;
    default:
      return 2;
  }
}

constexpr int float_rank = 2;

/**
 * Constants that loops use again and again (`x + 1.0`) as shared nodes: no memory, no work. The
 * table is never freed, as arrays may outlive any static object.
 */
class ConstantCache {
 public:
  template <typename T>
  const array& get(T value, Dtype dtype) {
    uint64_t bits;
    double wide = static_cast<double>(value);
    std::memcpy(&bits, &wide, sizeof(bits));
    uint64_t key = bits * 31 + static_cast<uint64_t>(dtype.val());
    Entry& e = entries_[(key * 0x9e3779b97f4a7c15ull) >> 56];
    if (!e.value || e.bits != bits || e.dtype != dtype.val()) {
      e = {bits, dtype.val(), array(value, dtype)};
    }
    return *e.value;
  }

 private:
  struct Entry {
    uint64_t bits = 0;
    Dtype::Val dtype = Dtype::Val::bool_;
    std::optional<array> value;
  };
  Entry entries_[256];
};

ConstantCache& constants() {
  static auto* cache = new ConstantCache;
  return *cache;
}

array weak_int(PyObject* value, Dtype other) {
  Dtype dtype = other == bool_ ? int32 : other;
  int overflow = 0;
  int64_t v = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow == 0 && fits(v, dtype)) {
    constexpr int64_t exact = 1ll << 53;
    return -exact < v && v < exact ? constants().get(v, dtype) : array(v, dtype);
  }
  if (rank(dtype) >= float_rank) {
    double wide = PyLong_AsDouble(value);
    if (wide == -1.0 && PyErr_Occurred()) {
      throw nb::python_error();
    }
    return array(wide, dtype);
  }
  if (int_fits(value, dtype)) {
    return array(static_cast<uint64_t>(PyLong_AsUnsignedLongLong(value)), dtype);
  }
  fail_overflow(value, dtype);
}

/** Whether a number beside integers of dtype `other` is an int that none of them can equal. */
bool is_beyond(nb::handle value, Dtype other) {
  return PyLong_Check(value.ptr()) && !PyBool_Check(value.ptr()) && rank(other) < float_rank &&
         !int_fits(value.ptr(), other == bool_ ? int32 : other);
}

/** Operands that compare with each other as `a` does with an int beyond its dtype: zeros in the
 *  shape of `a`, and a number on the int's side of them. */
std::pair<array, array> beside_beyond(const array& a, nb::handle value) {
  array zeros = logical_and(a, array(false));
  int overflow = 0;
  int64_t v = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  bool is_negative = overflow < 0 || (overflow == 0 && v < 0);
  return {astype(zeros, int32), array(is_negative ? -1 : 1)};
}

array weak_foreign(nb::handle value, Dtype other) {
  array made = make_array(value);
  Dtype wanted = made.dtype();
  if (rank(wanted) <= rank(other)) {
    wanted = other;
  } else if (is_complex_dtype(wanted)) {
    wanted = complex_dtype(other);
  }
  return wanted == made.dtype() ? made : make_array(value, wanted);
}

}  // namespace

void fail_uninitialized() {
  throw std::invalid_argument("[array] An array was used before its __init__ was called.");
}

bool is_integer(PyObject* object) {
  return PyLong_Check(object) ? !PyBool_Check(object) : PyIndex_Check(object) != 0;
}

bool load_int(PyObject* object, int64_t& value) noexcept {
  if (!PyLong_Check(object)) {
    if (PyFloat_Check(object) || !PyIndex_Check(object)) {
      return false;
    }
    PyObject* index = PyNumber_Index(object);
    if (!index) {
      PyErr_Clear();
      return false;
    }
    bool ok = load_int(index, value);
    Py_DECREF(index);
    return ok;
  }
  int overflow = 0;
  value = PyLong_AsLongLongAndOverflow(object, &overflow);
  return overflow == 0;
}

bool load_int(PyObject* object, int& value) noexcept {
  int64_t wide;
  if (!load_int(object, wide) || wide < INT32_MIN || wide > INT32_MAX) {
    return false;
  }
  value = static_cast<int>(wide);
  return true;
}

void refuse_large(PyObject* object) {
  if (PyLong_Check(object)) {
    int64_t value;
    if (!load_int(object, value) || value < INT32_MIN || value > INT32_MAX) {
      throw ExtentError("The integer " + std::string(nb::repr(object).c_str()) +
                        " is outside the supported range [-2^31, 2^31 - 1].");
    }
  } else if (PyList_Check(object) || PyTuple_Check(object)) {
    for (nb::handle item : nb::borrow<nb::sequence>(object)) {
      if (PyLong_Check(item.ptr())) {
        refuse_large(item.ptr());
      }
    }
  }
}

array make_array(nb::handle value, std::optional<Dtype> dtype) {
  if (auto* a = as_array(value)) {
    return dtype && *dtype != a->dtype() ? astype(*a, *dtype) : *a;
  }
  PyObject* p = value.ptr();
  if (PyFloat_CheckExact(p)) {
    return array(PyFloat_AS_DOUBLE(p), dtype.value_or(float32));
  }
  if (PyLong_CheckExact(p)) {
    int overflow = 0;
    int64_t v = PyLong_AsLongLongAndOverflow(p, &overflow);
    if (overflow == 0 && v >= INT32_MIN && v <= INT32_MAX) {
      return array(v, dtype.value_or(int32));
    }
  }
  bool is_sequence = PyList_Check(p) || PyTuple_Check(p);
  bool is_number = PyBool_Check(p) || PyLong_Check(p) || PyFloat_Check(p) || PyComplex_Check(p);
  if (is_sequence || is_number) {
    return NestedReader(value).read(dtype);
  }
  if (auto a = from_protocol(value)) {
    return dtype ? astype(*a, *dtype) : *a;
  }
  if (auto a = from_foreign(value, dtype)) {
    return *a;
  }
  fail_type(value);
}

array make_value(nb::handle value, Dtype dtype) {
  PyObject* p = value.ptr();
  if (PyList_Check(p) || PyTuple_Check(p)) {
    return NestedReader(value, /* wraps */ false).read(dtype);
  }
  if (PyLong_Check(p) && !PyBool_Check(p) && issubdtype(dtype, integer) && !int_fits(p, dtype)) {
    fail_overflow(value, dtype);
  }
  return make_array(value, dtype);
}

std::optional<array> try_operand(nb::handle value, Dtype other) {
  PyObject* p = value.ptr();
  if (auto* a = as_array(value)) {
    return *a;
  }
  if (PyFloat_Check(p)) {
    return constants().get(PyFloat_AS_DOUBLE(p), rank(other) >= float_rank ? other : float32);
  }
  if (PyBool_Check(p)) {
    return constants().get(p == Py_True, other);
  }
  if (PyLong_Check(p)) {
    return weak_int(p, other);
  }
  if (PyComplex_Check(p)) {
    return make_array(value, complex_dtype(other));
  }
  if (auto a = from_protocol(value)) {
    return a;
  }
  if (is_foreign_array(value)) {
    return weak_foreign(value, other);
  }
  return std::nullopt;
}

namespace {
[[noreturn]] void fail_operand(Operand value) {
  std::string name = Py_TYPE(value.object)->tp_name;
  throw nb::type_error(("Expected an array or a number, got " + name + ".").c_str());
}
}  // namespace

array to_array(Operand value, Dtype other) {
  if (auto a = try_operand(value.object, other)) {
    return *a;
  }
  fail_operand(value);
}

array to_array(Operand value) {
  PyObject* p = value.object;
  if (auto* a = as_array(p)) {
    return *a;
  }
  if (PyList_Check(p) || PyTuple_Check(p) || p == Py_None) {
    fail_operand(value);
  }
  return make_array(p);
}

array to_truth(Operand value) {
  return PyLong_Check(value.object) ? array(PyObject_IsTrue(value.object) == 1) : to_array(value);
}

std::pair<array, array> to_comparable(Operand a, Operand b) {
  auto *first = as_array(a.object), *second = as_array(b.object);
  if (first && is_beyond(b.object, first->dtype())) {
    return beside_beyond(*first, b.object);
  }
  if (second && is_beyond(a.object, second->dtype())) {
    auto [zeros, side] = beside_beyond(*second, a.object);
    return {side, zeros};
  }
  return to_arrays(a, b);
}

std::pair<array, array> to_arrays(Operand a, Operand b) {
  if (auto* first = as_array(a.object)) {
    return {*first, to_array(b, first->dtype())};
  }
  if (auto* second = as_array(b.object)) {
    return {to_array(a, second->dtype()), *second};
  }
  return {to_array(a), to_array(b)};
}

}  // namespace mlx::python
