// How arguments of ops arrive from Python: shapes and axes from ints and sequences, the `stream=`
// argument from all that names one, and operands that may be Python numbers.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/detail/nb_list.h>

#include <optional>
#include <variant>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::python {

namespace nb = nanobind;

/** An array, or something an array op takes in its place: a number, a NumPy array … */
struct Operand {
  PyObject* object = nullptr;
};

/** The `axis` argument of reductions: none (all axes), one, or several. */
struct Axes {
  enum class Count { all, one, several } count = Count::all;
  std::vector<int> values;

  bool all() const { return count == Count::all; }
};

/** An int or a sequence of ints, for arguments such as `shape` or `stride`. */
struct Ints {
  std::vector<int> values;
  bool single = false;

  core::Shape shape() const { return core::Shape(values.begin(), values.end()); }
  /** `values`, one of them repeated n times if it came alone. */
  std::vector<int> expanded(size_t n) const {
    return single ? std::vector<int>(n, values[0]) : values;
  }
};

/** A sequence of arrays, or any other iterable of them. */
struct Arrays {
  std::vector<core::array> values;
};

/** A device, or a type of device for the first one of it. */
struct DeviceArg {
  core::Device device = core::Device::cpu;
};

/** Whether `object` can stand for an integer: an int (not a bool), or a type with __index__. */
bool is_integer(PyObject* object);

/** The value of an integer object; false with no Python error set if it is none or too large. */
bool load_int(PyObject* object, int64_t& value) noexcept;
bool load_int(PyObject* object, int& value) noexcept;

/** The T behind an object; nullptr if it is of another class, or its `__init__` never ran. */
template <typename T>
const T* instance_of(nb::handle object) noexcept {
  return nb::isinstance<T>(object) && nb::inst_ready(object) ? nb::inst_ptr<T>(object) : nullptr;
}

/** Appends all ints of a list, tuple or other sequence, as it is now: `__index__` of an item may
 *  change it. False if it is not one. */
template <typename Vector>
bool load_ints(PyObject* object, Vector& values) noexcept {
  if (PyUnicode_Check(object) || PyBytes_Check(object) || !PySequence_Check(object)) {
    return false;
  }
  PyObject* items = PySequence_Tuple(object);
  if (!items) {
    PyErr_Clear();
    return false;
  }
  bool ok = true;
  Py_ssize_t n = PyTuple_GET_SIZE(items);
  for (Py_ssize_t i = 0; ok && i < n; i++) {
    typename Vector::value_type v;
    ok = load_int(PyTuple_GET_ITEM(items, i), v);
    if (ok) {
      values.push_back(v);
    }
  }
  Py_DECREF(items);
  return ok;
}

/** Throws ExtentError if an int, or one of a sequence, is one but lies beyond 32 bits. */
void refuse_large(PyObject* object);

}  // namespace mlx::python

namespace nanobind::detail {

/** In place of nanobind's own, which reads a list where it lies while conversions of its items may
 *  change it. */
template <typename T>
struct type_caster<std::vector<T>> : list_caster<std::vector<T>, T> {
  using Base = list_caster<std::vector<T>, T>;

  bool from_python(handle src, uint8_t flags, cleanup_list* cleanup) noexcept {
    if (!PyList_CheckExact(src.ptr())) {
      return Base::from_python(src, flags, cleanup);
    }
    object items = steal(PyList_AsTuple(src.ptr()));
    if (!items.is_valid()) {
      PyErr_Clear();
      return false;
    }
    return Base::from_python(items, flags, cleanup);
  }
};

template <typename T, size_t N>
struct type_caster<mlx::core::SmallVector<T, N>> {
  using Vector = mlx::core::SmallVector<T, N>;
  NB_TYPE_CASTER(Vector, const_name("collections.abc.Sequence[int]"))

  bool from_python(handle src, uint8_t, cleanup_list*) {
    value = Vector();
    bool loaded = mlx::python::load_ints(src.ptr(), value);
    if (!loaded) {
      mlx::python::refuse_large(src.ptr());
    }
    return loaded;
  }
  static handle from_cpp(const Vector& v, rv_policy, cleanup_list*) noexcept {
    PyObject* out = PyTuple_New(static_cast<Py_ssize_t>(v.size()));
    for (size_t i = 0; out && i < v.size(); i++) {
      PyTuple_SET_ITEM(out, i, PyLong_FromLongLong(v[i]));
    }
    return out;
  }
};

template <>
struct type_caster<mlx::python::Ints> {
  NB_TYPE_CASTER(mlx::python::Ints, const_name("int | collections.abc.Sequence[int]"))

  bool from_python(handle src, uint8_t, cleanup_list*) {
    value = {};
    int one;
    if (mlx::python::load_int(src.ptr(), one)) {
      value.single = true;
      value.values.push_back(one);
      return true;
    }
    bool loaded = mlx::python::load_ints(src.ptr(), value.values);
    if (!loaded) {
      mlx::python::refuse_large(src.ptr());
    }
    return loaded;
  }
};

template <>
struct type_caster<mlx::python::Axes> {
  NB_TYPE_CASTER(mlx::python::Axes, const_name("int | collections.abc.Sequence[int]"))

  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    using Count = mlx::python::Axes::Count;
    value = {};
    if (src.is_none()) {
      return true;
    }
    int one;
    if (mlx::python::load_int(src.ptr(), one)) {
      value.count = Count::one;
      value.values.push_back(one);
      return true;
    }
    value.count = Count::several;
    return mlx::python::load_ints(src.ptr(), value.values);
  }
};

template <>
struct type_caster<mlx::python::Arrays> {
  NB_TYPE_CASTER(mlx::python::Arrays, const_name("collections.abc.Sequence[array]"))

  bool from_python(handle src, uint8_t, cleanup_list*) {
    value = {};
    if (PyUnicode_Check(src.ptr()) || PyDict_Check(src.ptr()) || !hasattr(src, "__iter__")) {
      return false;
    }
    for (handle item : borrow<object>(src)) {
      auto* a = mlx::python::instance_of<mlx::core::array>(item);
      if (!a) {
        return false;
      }
      value.values.push_back(*a);
    }
    return true;
  }
};

/** The caster of an enum would take plain ints, too. */
inline bool load_device_type(handle src, mlx::core::Device::DeviceType& type) noexcept {
  return !PyLong_Check(src.ptr()) && try_cast(src, type, false);
}

template <>
struct type_caster<mlx::python::DeviceArg> {
  NB_TYPE_CASTER(mlx::python::DeviceArg, const_name("Device | DeviceType"))

  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    mlx::core::Device::DeviceType type;
    if (auto* device = mlx::python::instance_of<mlx::core::Device>(src)) {
      value.device = *device;
    } else if (load_device_type(src, type)) {
      value.device = mlx::core::Device(type);
    } else {
      return false;
    }
    return true;
  }
};

template <>
struct type_caster<mlx::core::StreamOrDevice> {
  using Variant = mlx::core::StreamOrDevice;
  NB_TYPE_CASTER(Variant, const_name("Stream | ThreadLocalStream | Device | DeviceType"))

  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    if (src.is_none()) {
      value = std::monostate{};
      return true;
    }
    return load<mlx::core::ThreadLocalStream>(src) || load<mlx::core::Stream>(src) ||
           load<mlx::core::Device>(src) || load<mlx::core::Device::DeviceType>(src);
  }

 private:
  template <typename T>
  bool load(handle src) noexcept {
    if constexpr (std::is_enum_v<T>) {
      T found;
      if (load_device_type(src, found)) {
        value = found;
        return true;
      }
    } else if (auto* found = mlx::python::instance_of<T>(src)) {
      value = *found;
      return true;
    }
    return false;
  }
};

template <>
struct type_caster<mlx::python::Operand> {
  NB_TYPE_CASTER(mlx::python::Operand, const_name("bool | int | float | complex | array"))

  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    value.object = src.ptr();
    return true;
  }
};

}  // namespace nanobind::detail
