// Arrays from shapes and ranges.
#include <cmath>

#include "mlx/core/errors.h"
#include "python/src/def_op.h"
#include "python/src/foreign.h"

namespace mlx::python {

namespace {

bool is_int_number(nb::handle h) { return PyLong_Check(h.ptr()) && !PyBool_Check(h.ptr()); }

double range_number(nb::handle h) {
  if (PyBool_Check(h.ptr())) {
    throw std::invalid_argument("[arange] bool is not supported.");
  }
  double v = PyFloat_AsDouble(h.ptr());
  if (v == -1.0 && PyErr_Occurred()) {
    throw nb::python_error();
  }
  return v;
}

/** int32 or int64 if all numbers are ints, float32 otherwise. */
Dtype range_dtype(std::initializer_list<nb::handle> numbers) {
  Dtype t = int32;
  for (nb::handle h : numbers) {
    if (h.is_none()) {
      continue;
    }
    if (!is_int_number(h)) {
      if (PyIndex_Check(h.ptr())) {
        t = promote_types(t, int64);
        continue;
      }
      return float32;
    }
    double v = range_number(h);
    if (v < INT32_MIN || v > INT32_MAX) {
      t = int64;
    }
  }
  return t;
}

array range(nb::handle start, nb::handle stop, nb::handle step, std::optional<Dtype> dtype,
            StreamOrDevice device, StreamOrDevice stream) {
  if (start.is_none() && stop.is_none()) {
    throw nb::type_error("arange() needs at least a stop.");
  }
  if (stop.is_none() || start.is_none()) {
    stop = stop.is_none() ? start : stop;
    start = nb::handle();
  }
  nb::int_ zero(0);
  nb::int_ one(1);
  nb::handle first = start ? start : nb::handle(zero);
  nb::handle stride = step.is_none() ? nb::handle(one) : step;
  Dtype t = dtype.value_or(range_dtype({first, stop, stride}));
  return arange(range_number(first), range_number(stop), range_number(stride), t,
                chosen(device, stream));
}

void bind_ranges(nb::module_& m) {
  m.def("arange", &range, "start"_a = nb::none(), "stop"_a = nb::none(), "step"_a = nb::none(),
        "dtype"_a = nb::none(), nb::kw_only(), "device"_a = nb::none(), "stream"_a = nb::none(),
        nb::sig("def arange(start: int | float, stop: int | float | None = None, "
                "step: int | float | None = None, dtype: Dtype | None = None, *, "
                "device: Stream | ThreadLocalStream | Device | DeviceType | None = None, "
                "stream: Stream | ThreadLocalStream | Device | DeviceType | None = None) -> array"),
        "start, start + step, … up to but not including stop; one number alone is the stop.\n"
        "int32 (int64 for large numbers) if all numbers are ints, else float32.");
  m.def(
      "linspace",
      [](double start, double stop, std::optional<int> num, bool endpoint,
         std::optional<Dtype> dtype, StreamOrDevice s, StreamOrDevice device) {
        return linspace(start, stop, num.value_or(50), endpoint, dtype.value_or(float32),
                        chosen(device, s));
      },
      "start"_a, "stop"_a, "num"_a.none() = 50, "endpoint"_a = true, "dtype"_a.none() = float32,
      "stream"_a = nb::none(), nb::kw_only(), "device"_a = nb::none(),
      "`num` evenly spaced numbers from start to stop, the latter included with `endpoint`.");
}

using Filled = array (*)(const Shape&, Dtype, StreamOrDevice);
using FilledLike = array (*)(const array&, Dtype, StreamOrDevice);

template <Filled op>
void def_filled(nb::module_& m, const char* name, const char* doc) {
  m.def(
      name,
      [](const Ints& shape, std::optional<Dtype> dtype, StreamOrDevice device, StreamOrDevice s) {
        return op(shape.shape(), dtype.value_or(float32), chosen(device, s));
      },
      "shape"_a, "dtype"_a.none() = float32, nb::kw_only(), "device"_a = nb::none(),
      "stream"_a = nb::none(), doc);
}

template <FilledLike op>
void def_filled_like(nb::module_& m, const char* name, const char* doc) {
  m.def(
      name,
      [](const array& a, std::optional<Dtype> dtype, StreamOrDevice device, StreamOrDevice s) {
        return op(a, dtype.value_or(a.dtype()), chosen(device, s));
      },
      "a"_a, "dtype"_a = nb::none(), nb::kw_only(), "device"_a = nb::none(),
      "stream"_a = nb::none(), doc);
}

/** The value by either of its names, MLX's and the array API's. */
nb::handle filling(Operand vals, Operand fill_value, const char* op) {
  nb::handle first(vals.object);
  nb::handle second(fill_value.object);
  if (first.is_none() == second.is_none()) {
    throw nb::type_error((std::string(op) + "() needs one value to fill with.").c_str());
  }
  return first.is_none() ? second : first;
}

void bind_filled(nb::module_& m) {
  def_filled<zeros>(m, "zeros", "An array of zeros; float32 unless told otherwise.");
  def_filled<ones>(m, "ones", "An array of ones; float32 unless told otherwise.");
  def_filled<zeros>(m, "empty", "An array whose values do not matter; zeros here.");
  def_filled_like<zeros_like>(m, "zeros_like", "Zeros in the shape and dtype of `a`.");
  def_filled_like<ones_like>(m, "ones_like", "Ones in the shape and dtype of `a`.");
  def_filled_like<zeros_like>(m, "empty_like", "Values that do not matter, shaped as `a`.");
  m.def(
      "full",
      [](const Ints& shape, Operand vals, std::optional<Dtype> dtype, Operand fill_value,
         StreamOrDevice device, StreamOrDevice s) {
        nb::handle fill = filling(vals, fill_value, "full");
        array value = dtype ? make_value(fill, *dtype) : make_array(fill);
        return full(shape.shape(), value, value.dtype(), chosen(device, s));
      },
      "shape"_a, "vals"_a = nb::none(), "dtype"_a = nb::none(), nb::kw_only(),
      "fill_value"_a = nb::none(), "device"_a = nb::none(), "stream"_a = nb::none(),
      "`vals` (or `fill_value`), a number or an array, broadcast to a shape; in the dtype of "
      "`vals` by default.");
  m.def(
      "full_like",
      [](const array& a, Operand vals, std::optional<Dtype> dtype, Operand fill_value,
         StreamOrDevice device, StreamOrDevice s) {
        Dtype t = dtype.value_or(a.dtype());
        array value = make_value(filling(vals, fill_value, "full_like"), t);
        return full_like(a, value, t, chosen(device, s));
      },
      "a"_a, "vals"_a = nb::none(), "dtype"_a = nb::none(), nb::kw_only(),
      "fill_value"_a = nb::none(), "device"_a = nb::none(), "stream"_a = nb::none(),
      "`vals` (or `fill_value`) broadcast to the shape of `a`, in its dtype by default.");
}

void bind_matrices(nb::module_& m) {
  m.def(
      "eye",
      [](int n, std::optional<int> rows, int k, std::optional<Dtype> dtype, StreamOrDevice device,
         StreamOrDevice s) {
        return eye(n, rows.value_or(n), k, dtype.value_or(float32), chosen(device, s));
      },
      "n"_a, "m"_a = nb::none(), "k"_a = 0, "dtype"_a.none() = float32, nb::kw_only(),
      "device"_a = nb::none(), "stream"_a = nb::none(),
      "An n by m matrix (m = n by default) with ones on diagonal k.");
  m.def(
      "identity",
      [](int n, std::optional<Dtype> dtype, StreamOrDevice s) {
        return identity(n, dtype.value_or(float32), s);
      },
      "n"_a, "dtype"_a.none() = float32, nb::kw_only(), "stream"_a = nb::none(),
      "The identity matrix.");
  m.def(
      "tri",
      [](int n, std::optional<int> columns, int k, std::optional<Dtype> dtype, StreamOrDevice s) {
        return tri(n, columns.value_or(n), k, dtype.value_or(float32), s);
      },
      "n"_a, "m"_a = nb::none(), "k"_a = 0, "dtype"_a.none() = float32, nb::kw_only(),
      "stream"_a = nb::none(), "An n by m matrix with ones on and below diagonal k.");
  m.def(
      "tril", [](const array& x, int k, StreamOrDevice s) { return tril(x, k, s); }, "x"_a,
      "k"_a = 0, nb::kw_only(), "stream"_a = nb::none(),
      "The matrices in the last two axes with zeros above diagonal k.");
  m.def(
      "triu", [](const array& x, int k, StreamOrDevice s) { return triu(x, k, s); }, "x"_a,
      "k"_a = 0, nb::kw_only(), "stream"_a = nb::none(),
      "The matrices in the last two axes with zeros below diagonal k.");
}

using Window = array (*)(int, StreamOrDevice);

template <Window op>
void def_window(nb::module_& m, const char* name, const char* doc) {
  m.def(name, op, "M"_a, nb::kw_only(), "stream"_a = nb::none(), doc);
}

array interpret(nb::handle value, std::optional<Dtype> dtype, std::optional<bool> copy) {
  const array* a = as_array(value);
  if (copy.value_or(true)) {
    array made = make_array(value, dtype);
    return copy && a && made.id() == a->id() ? mlx::core::copy(made) : made;
  }
  if (!a) {
    return share_foreign(value, dtype);
  }
  check(!dtype || *dtype == a->dtype(), "asarray", "Another dtype than ", a->dtype(),
        " needs a copy, which copy=False forbids.");
  return *a;
}

}  // namespace

void bind_creation(nb::module_& m) {
  bind_ranges(m);
  bind_filled(m);
  bind_matrices(m);
  def_window<hanning>(m, "hanning", "The Hann window of M points.");
  def_window<hamming>(m, "hamming", "The Hamming window of M points.");
  def_window<bartlett>(m, "bartlett", "The triangular window of M points.");
  def_window<blackman>(m, "blackman", "The Blackman window of M points.");
  m.def(
      "asarray",
      [](Operand a, std::optional<Dtype> dtype, std::optional<bool> copy, StreamOrDevice) {
        return interpret(a.object, dtype, copy);
      },
      "a"_a, "dtype"_a = nb::none(), nb::kw_only(), "copy"_a = nb::none(), "device"_a = nb::none(),
      "The value as an array. An array of the right dtype is passed through unless `copy`; other\n"
      "memory is copied unless `copy` is False, which shares it and sees what its owner writes,\n"
      "or raises ValueError where it cannot be shared.");
  m.def(
      "from_dlpack",
      [](Operand x, std::optional<bool> copy, StreamOrDevice) {
        return interpret(x.object, std::nullopt, copy);
      },
      "x"_a, nb::kw_only(), "copy"_a = nb::none(), "device"_a = nb::none(),
      "An array with the memory that an object offers; `copy` is that of `asarray`.");
}

}  // namespace mlx::python
