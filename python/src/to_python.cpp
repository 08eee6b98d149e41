// Values of arrays as Python numbers, lists and NumPy arrays, and evaluation without the GIL.
#include "mlx/core/read.h"
#include "mlx/transforms.h"
#include "python/src/convert.h"
#include "python/src/gil.h"

namespace mlx::python {

namespace {

template <typename T>
nb::object to_number(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return nb::bool_(value);
  } else if constexpr (std::is_integral_v<T>) {
    return nb::int_(value);
  } else if constexpr (ComplexNumber<T>) {
    return nb::steal(PyComplex_FromDoubles(value.real(), value.imag()));
  } else {
    return nb::float_(static_cast<double>(value));
  }
}

template <typename T>
nb::object list_axis(const array& a, size_t axis, const T* data) {
  if (axis == a.ndim()) {
    return to_number(*data);
  }
  ShapeElem extent = a.shape()[axis];
  nb::object out = nb::steal(PyList_New(extent));
  for (ShapeElem i = 0; i < extent; i++) {
    nb::object item = list_axis(a, axis + 1, data + i * a.strides()[axis]);
    PyList_SET_ITEM(out.ptr(), i, item.release().ptr());
  }
  return out;
}

}  // namespace

nb::object to_list(array a) {
  eval_unlocked(a);
  return dispatch_dtype(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return list_axis(a, 0, a.size() ? a.data<T>() : nullptr);
  });
}

nb::object to_scalar(array a) {
  if (a.size() != 1) {
    throw std::invalid_argument(
        "[convert] Only length-1 arrays can be converted to Python scalars.");
  }
  if (!a.is_available() || a.error()) {
    Unlocked unlocked;
    mlx::core::detail::eval_to_read(a);
  }
  return dispatch_dtype(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return to_number(*a.data<T>());
  });
}

nb::object to_numpy(array a) {
  if (a.dtype() == bfloat16) {
    throw nb::type_error(
        "bfloat16 arrays cannot be converted to NumPy: cast with astype(mx.float32) first.");
  }
  // By way of a view of its own, since NumPy would ask the array again for what the view raises.
  nb::object owner = nb::cast(std::move(a));
  nb::object view = nb::steal(PyMemoryView_FromObject(owner.ptr()));
  if (!view.is_valid()) {
    throw nb::python_error();
  }
  return nb::module_::import_("numpy").attr("asarray")(view);
}

void eval_unlocked(std::vector<array> arrays) {
  Unlocked unlocked;
  eval(std::move(arrays));
}

void eval_unlocked(const array& a) {
  if (!a.is_available() || a.error()) {
    eval_unlocked(std::vector<array>{a});
  }
}

}  // namespace mlx::python
