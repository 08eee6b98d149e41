// The class mlx.core.array: construction, facts, conversion to Python and NumPy, protocols.
#include "mlx/array.h"

#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <sstream>

#include "mlx/core/errors.h"
#include "mlx/core/tracing.h"
#include "mlx/ops.h"
#include "python/src/convert.h"
#include "python/src/foreign.h"

namespace mlx::python {

namespace {

PyType_Slot array_slots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(release_buffer)},
    {0, nullptr},
};

/** Iterates over the slices along the first axis. */
class SliceIterator {
 public:
  explicit SliceIterator(array a) : array_(std::move(a)) {}

  array next() {
    if (position_ >= array_.shape(0)) {
      throw nb::stop_iteration();
    }
    return take(array_, position_++, 0);
  }

 private:
  array array_;
  int position_ = 0;
};

nb::object numpy_as(array a, nb::handle dtype, nb::handle copy) {
  nb::object out = to_numpy(std::move(a));
  if (!dtype.is_none()) {
    out = out.attr("astype")(dtype, "copy"_a = false);
  }
  return copy.is_none() || !nb::cast<bool>(copy) ? out : out.attr("copy")();
}

nb::dlpack::dtype dlpack_dtype(Dtype t) {
  using Code = nb::dlpack::dtype_code;
  auto bits = static_cast<uint8_t>(t.size() * 8);
  auto make = [bits](Code code) { return nb::dlpack::dtype{static_cast<uint8_t>(code), bits, 1}; };
  switch (kindof(t)) {
    case Dtype::Kind::b:
      return make(Code::Bool);
    case Dtype::Kind::u:
      return make(Code::UInt);
    case Dtype::Kind::i:
      return make(Code::Int);
    case Dtype::Kind::c:
      return make(Code::Complex);
    default:
      return make(t == bfloat16 ? Code::Bfloat : Code::Float);
  }
}

[[noreturn]] void fail_buffer(const char* message) {
  PyErr_SetString(PyExc_BufferError, message);
  throw nb::python_error();
}

/** Memory of the host, as all arrays have it. */
nb::object to_dlpack(const array& a, nb::handle device, nb::handle copy) {
  if (!device.is_none() && !device.equal(nb::make_tuple(1, 0))) {
    fail_buffer("[dlpack] Arrays are offered in the memory of the host, device (1, 0).");
  }
  bool copies = !copy.is_none() && nb::cast<bool>(copy);
  array source = own_constants(copies ? mlx::core::copy(a) : a);
  auto* held = new array(source);
  nb::capsule owner(held, [](void* p) noexcept { delete static_cast<array*>(p); });
  std::vector<size_t> shape(source.shape().begin(), source.shape().end());
  nb::ndarray<> tensor(held->data<char>(), shape.size(), shape.data(), owner,
                       source.strides().begin(), dlpack_dtype(source.dtype()),
                       nb::device::cpu::value, 0);
  return nb::cast(tensor);
}

nb::bytes to_bytes(const array& source) {
  array a = contiguous(source);
  eval_unlocked(a);
  return nb::bytes(a.data<char>(), a.nbytes());
}

nb::tuple get_state(array a) {
  return nb::make_tuple(std::string(dtype_name(a.dtype())), a.shape(), to_bytes(a));
}

void set_state(array& self, const nb::tuple& state) {
  Dtype dtype = dtype_from_name(nb::cast<std::string>(state[0]));
  auto shape = nb::cast<Shape>(state[1]);
  auto bytes = nb::cast<nb::bytes>(state[2]);
  if (bytes.size() != num_bytes(shape, dtype)) {
    throw std::invalid_argument("[array] The pickled data do not fit their shape.");
  }
  auto buffer = allocator::malloc(bytes.size());
  std::memcpy(buffer.raw_ptr(), bytes.data(), bytes.size());
  new (&self) array(allocator::Data(buffer), shape, dtype);
}

nb::object to_index(const array& a) {
  if (a.ndim() != 0 || !issubdtype(a.dtype(), integer)) {
    throw nb::type_error("Only 0-dimensional integer arrays can be converted to an index.");
  }
  return to_scalar(a);
}

std::string to_string(array a) {
  eval_unlocked(a);
  std::ostringstream os;
  os << a;
  return os.str();
}

nb::object format(array a, const std::string& spec) {
  if (a.ndim() == 0) {
    return nb::steal(PyObject_Format(to_scalar(a).ptr(), nb::str(spec.c_str()).ptr()));
  }
  if (!spec.empty()) {
    throw nb::type_error("unsupported format string passed to mx.array.__format__");
  }
  return nb::str(to_string(a).c_str());
}

/** A value that becomes an array where one is needed. */
struct ArrayLike {
  nb::object value;
};

/** The array whose extents Python gets to know. */
const array& exposed(const array& a) {
  if (a.is_tracer()) {
    mlx::core::detail::note_shape_read();
  }
  return a;
}

void bind_facts(nb::class_<array>& cls) {
  cls.def_prop_ro(
         "shape", [](const array& a) { return exposed(a).shape(); }, "Extents as a tuple of ints.")
      .def_prop_ro("ndim", &array::ndim, "Number of axes.")
      .def_prop_ro(
          "size", [](const array& a) { return exposed(a).size(); }, "Number of elements.")
      .def_prop_ro("itemsize", &array::itemsize, "Bytes of one element.")
      .def_prop_ro(
          "nbytes", [](const array& a) { return exposed(a).nbytes(); }, "Bytes of all elements.")
      .def_prop_ro("dtype", &array::dtype, "The element type.")
      .def_prop_ro(
          "T", [](const array& a) { return transpose(a); }, "All axes reversed.")
      .def_prop_ro(
          "mT", [](const array& a) { return matrix_transpose(a); }, "The last two axes swapped.")
      .def_prop_ro(
          "real", [](const array& a) { return real(a); }, "The real parts.")
      .def_prop_ro(
          "imag", [](const array& a) { return imag(a); }, "The imaginary parts.");
}

void bind_conversions(nb::class_<array>& cls) {
  cls.def("item", &to_scalar, "The value of a one-element array as a Python number.")
      .def("tolist", &to_list, "Nested lists of Python numbers; a number for a 0-d array.")
      .def("numpy", &to_numpy, "A NumPy array over the same memory; TypeError for bfloat16.")
      .def("__array__", &numpy_as, "dtype"_a = nb::none(), "copy"_a = nb::none())
      .def(
          "__dlpack__",
          [](const array& a, nb::handle, nb::handle, nb::handle device, nb::handle copy) {
            return to_dlpack(a, device, copy);
          },
          nb::kw_only(), "stream"_a = nb::none(), "max_version"_a = nb::none(),
          "dl_device"_a = nb::none(), "copy"_a = nb::none())
      .def_prop_ro(
          "device", [](const array&) { return Device(default_device()); },
          "Where work on the array runs unless told otherwise; every device sees all arrays.")
      .def(
          "to_device",
          [](const array& a, const DeviceArg& device, nb::handle) {
            check(is_available(device.device), "to_device", "There is no device ", device.device,
                  ".");
            return a;
          },
          "device"_a, nb::kw_only(), "stream"_a = nb::none(),
          "The array itself: every device sees all arrays.")
      .def("__dlpack_device__", [](const array&) { return nb::make_tuple(1, 0); })
      .def("__bytes__", &to_bytes)
      .def("__bool__", [](const array& a) { return nb::cast<bool>(nb::bool_(to_scalar(a))); })
      .def("__int__", [](const array& a) { return nb::int_(to_scalar(a)); })
      .def("__float__", [](const array& a) { return nb::float_(to_scalar(a)); })
      .def("__complex__",
           [](const array& a) {
             return nb::borrow<nb::type_object>(reinterpret_cast<PyObject*>(&PyComplex_Type))(
                 to_scalar(a));
           })
      .def("__index__", &to_index)
      .def("__repr__", &to_string)
      .def("__format__", &format);
}

void bind_protocols(nb::class_<array>& cls) {
  cls.def("__len__",
          [](const array& a) {
            if (a.ndim() == 0) {
              throw nb::type_error("len() 0-dimensional array.");
            }
            return exposed(a).shape(0);
          })
      .def("__iter__",
           [](const array& a) {
             if (a.ndim() == 0) {
               throw nb::type_error("iter() 0-dimensional array.");
             }
             return SliceIterator(exposed(a));
           })
      .def("__hash__", [](const array& a) { return a.id(); })
      .def("__copy__", [](const array& a) { return a; })
      .def(
          "__deepcopy__", [](const array& a, nb::handle) { return a; }, "memo"_a)
      .def("__getstate__", &get_state)
      .def("__setstate__", &set_state)
      .def(
          "__array_namespace__",
          [](const array&, const std::optional<std::string>& version) {
            constexpr std::string_view known[] = {"2021.12", "2022.12", "2023.12", "2024.12"};
            check(!version ||
                      std::find(std::begin(known), std::end(known), *version) != std::end(known),
                  "__array_namespace__", "Version ", version.value_or(std::string()),
                  " of the array-API standard is not among those from 2021.12 to 2024.12.");
            return nb::module_::import_("mlx.core");
          },
          "api_version"_a = nb::none());
}

}  // namespace

nb::class_<array> declare_array(nb::module_& m) {
  return nb::class_<array>(m, "array", nb::type_slots(array_slots), nb::is_weak_referenceable(),
                           "An N-dimensional array of one dtype: a lazy value, computed when it is "
                           "read or passed to `eval`.");
}

void bind_array(nb::module_& m, nb::class_<array>& cls) {
  nb::class_<SliceIterator>(m, "ArrayIterator", "Iterates over the slices along the first axis.")
      .def("__iter__", [](nb::handle self) { return nb::borrow(self); })
      .def("__next__", &SliceIterator::next);
  nb::class_<ArrayLike>(m, "ArrayLike", "A value that becomes an array where one is needed.")
      .def(nb::init<nb::object>())
      .def("__mlx_array__", [](const ArrayLike& a) { return make_array(a.value); });
  cls.def(
      "__init__",
      [](array* self, Operand val, std::optional<Dtype> dtype) {
        array made = make_array(val.object, dtype);
        const array* given = as_array(val.object);
        bool is_same = given && made.id() == given->id();
        // Of its own memory, unless the given array fills its buffer: a slice lets the whole go.
        new (self) array(is_same && !made.is_tracer() ? contiguous(made, true) : made);
      },
      "val"_a, "dtype"_a = nb::none(),
      nb::sig("def __init__(self, val: bool | int | float | complex | list | tuple | object, "
              "dtype: Dtype | None = None)"),
      "Numbers and nested lists give int32, float32, bool or complex64; NumPy arrays keep their\n"
      "dtype except float64 and complex128, which become float32 and complex64 unless `dtype`\n"
      "says otherwise. Raises ValueError for ragged lists and values that are no numbers.");
  bind_facts(cls);
  bind_conversions(cls);
  bind_protocols(cls);
}

}  // namespace mlx::python
