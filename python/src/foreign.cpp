// Arrays from the memory of other libraries and the buffer protocol of our own arrays.
#include "python/src/foreign.h"

#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "mlx/core/errors.h"
#include "mlx/core/layout.h"
#include "mlx/ops.h"
#include "python/src/convert.h"
#include "python/src/errors.h"
#include "python/src/gil.h"

namespace mlx::python {

namespace {

/** Memory described as both protocols do. */
struct Memory {
  const char* data;
  Shape shape;
  Strides strides;  // in bytes
  std::optional<Dtype> dtype;
  size_t itemsize;
};

/** An extent as others give it. Throws ValueError for one that shapes cannot hold. */
ShapeElem extent(int64_t n) {
  check(n >= 0 && n <= INT32_MAX, "array", "An axis has an extent out of range: ", n, ".");
  return static_cast<ShapeElem>(n);
}

Dtype int_dtype(bool is_signed, size_t size) {
  switch (size) {
    case 1:
      return is_signed ? int8 : uint8;
    case 2:
      return is_signed ? int16 : uint16;
    case 4:
      return is_signed ? int32 : uint32;
    default:
      return is_signed ? int64 : uint64;
  }
}

/** Sets the dtype that a format of Python's struct module stands for. */
void parse_format(const std::string& text, Memory& memory) {
  std::string format = text.empty() ? "B" : text;
  bool swapped = format[0] == '>' || format[0] == '!';
  if (swapped || std::strchr("@=<|", format[0])) {
    format.erase(0, 1);
  }
  check(!swapped || memory.itemsize == 1, "array", "Big-endian memory is not supported.");
  if (format == "?") {
    memory.dtype = bool_;
  } else if (format.size() == 1 && std::strchr("bhilqn", format[0])) {
    memory.dtype = int_dtype(true, memory.itemsize);
  } else if (format.size() == 1 && std::strchr("BHILQN", format[0])) {
    memory.dtype = int_dtype(false, memory.itemsize);
  } else if (format == "e") {
    memory.dtype = float16;
  } else if (format == "f") {
    memory.dtype = float32;
  } else if (format == "d") {
    memory.dtype = float64;
  } else if (format == "bfloat16") {
    memory.dtype = bfloat16;
  } else if (format == "Zf" || format == "F") {
    memory.dtype = complex64;
  } else if (format == "Zd" || format == "D") {
    memory.dtype = complex128;
  } else {
    fail("array", "Elements of format '", text, "' have no dtype here.");
  }
  check(size_of(*memory.dtype) == memory.itemsize, "array", "Elements of format '", text, "' and ",
        memory.itemsize, " bytes have no dtype here.");
}

/** Copies in row-major order; returns the end of what was written. */
char* copy_rows(const Memory& m, size_t axis, const char* from, char* to) {
  if (axis == m.shape.size()) {
    std::memcpy(to, from, m.itemsize);
    return to + m.itemsize;
  }
  bool last = axis + 1 == m.shape.size();
  if (last && m.strides[axis] == static_cast<int64_t>(m.itemsize)) {
    size_t bytes = m.itemsize * m.shape[axis];
    std::memcpy(to, from, bytes);
    return to + bytes;
  }
  for (ShapeElem i = 0; i < m.shape[axis]; i++) {
    to = copy_rows(m, axis + 1, from + i * m.strides[axis], to);
  }
  return to;
}

bool is_row_contiguous(const Memory& m) {
  int64_t expected = static_cast<int64_t>(m.itemsize);
  for (size_t i = m.shape.size(); i-- > 0;) {
    if (m.shape[i] != 1 && m.strides[i] != expected) {
      return false;
    }
    expected *= m.shape[i];
  }
  return true;
}

/** What comes from elsewhere as bools may be any bytes: all but 0 are true. */
void normalize_bools(char* bytes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    bytes[i] = bytes[i] != 0;
  }
}

void copy_all(const Memory& m, size_t count, char* to) {
  if (count == 0) {
    return;
  }
  if (is_row_contiguous(m)) {
    std::memcpy(to, m.data, count * m.itemsize);
  } else {
    copy_rows(m, 0, m.data, to);
  }
}

array copy_memory(const Memory& m, std::optional<Dtype> wanted) {
  size_t count = num_elements(m.shape);
  num_bytes(m.shape, *m.dtype);
  Dtype source = *m.dtype;
  Dtype narrow = source == float64 ? float32 : source == complex128 ? complex64 : source;
  Dtype target = wanted.value_or(narrow);
  auto buffer = allocator::malloc(count * m.itemsize);
  copy_all(m, count, static_cast<char*>(buffer.raw_ptr()));
  if (source == bool_) {
    normalize_bools(static_cast<char*>(buffer.raw_ptr()), count);
  }
  array copied(allocator::Data(buffer), m.shape, source);
  if (target == source) {
    return copied;
  }
  return dispatch_dtype(source, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return array(copied.data<T>(), m.shape, target);
  });
}

Memory describe(const Py_buffer& view) {
  Memory m{static_cast<const char*>(view.buf), {}, {}, {}, static_cast<size_t>(view.itemsize)};
  check(view.ndim == 0 || (view.shape && !view.suboffsets), "array",
        "Memory without a shape, or behind pointers, cannot be read.");
  m.strides.resize(view.ndim);
  // ctypes leaves out strides although they are asked for. Their product wraps only where there are
  // no elements, or too many.
  auto dense = static_cast<uint64_t>(view.itemsize);
  for (int i = view.ndim; i-- > 0;) {
    m.strides[i] = view.strides ? view.strides[i] : static_cast<int64_t>(dense);
    dense *= static_cast<uint64_t>(extent(view.shape[i]));
  }
  for (int i = 0; i < view.ndim; i++) {
    m.shape.push_back(extent(view.shape[i]));
  }
  parse_format(view.format ? view.format : "B", m);
  return m;
}

std::optional<array> from_buffer(nb::handle value, std::optional<Dtype> dtype) {
  Py_buffer view;
  if (PyObject_GetBuffer(value.ptr(), &view, PyBUF_RECORDS_RO) != 0) {
    PyErr_Clear();
    return std::nullopt;
  }
  std::unique_ptr<Py_buffer, decltype(&PyBuffer_Release)> guard(&view, PyBuffer_Release);
  if (view.ndim > 0 && !view.strides && nb::hasattr(value, "dtype")) {
    return std::nullopt;  // a date of NumPy's, which gives itself out for bytes
  }
  return copy_memory(describe(view), dtype);
}

/** The memory that `m` describes as an array; `owner` keeps it alive. */
array share_memory(const Memory& m, std::optional<Dtype> wanted, nb::object owner) {
  auto size = static_cast<int64_t>(m.itemsize);
  check(m.dtype && (!wanted || *wanted == *m.dtype), "asarray",
        "Elements of another dtype need a copy, which copy=False forbids.");
  num_bytes(m.shape, *m.dtype);
  bool is_aligned = reinterpret_cast<uintptr_t>(m.data) % real_dtype(*m.dtype).size() == 0;
  Strides strides;
  int64_t low = 0;  // of the elements, from the first one
  for (size_t i = 0; i < m.shape.size(); i++) {
    is_aligned &= m.strides[i] % size == 0;
    strides.push_back(m.strides[i] / size);
    low += std::min<int64_t>(0, strides.back() * std::max(0, m.shape[i] - 1));
  }
  check(is_aligned, "asarray",
        "Elements off their alignment need a copy, which copy=False forbids.");
  size_t span = layout_span(m.shape, strides);
  PyObject* held = owner.release().ptr();
  allocator::Data data(allocator::Buffer(const_cast<char*>(m.data) + low * size),
                       [held](allocator::Buffer) { drop_reference(nb::steal(held)); });
  array shared(m.shape, *m.dtype, nullptr, {});
  shared.set_data(std::move(data), span, strides, layout_flags(m.shape, strides, span), -low);
  shared.set_status(array::Status::available);
  return shared;
}

[[noreturn]] void fail_share(const std::string& what) {
  throw std::invalid_argument("[asarray] " + what + " need a copy, which copy=False forbids.");
}

void set_dlpack_dtype(const nb::dlpack::dtype& t, Memory& m) {
  using Code = nb::dlpack::dtype_code;
  size_t size = t.bits / 8;
  m.itemsize = size;
  check(t.lanes == 1 && t.bits % 8 == 0 && size <= 16, "array", "Unsupported DLPack element type.");
  auto is = [&](Code code, size_t bytes) {
    return t.code == static_cast<uint8_t>(code) && size == bytes;
  };
  if (t.code == static_cast<uint8_t>(Code::Bool)) {
    m.dtype = bool_;
  } else if (t.code == static_cast<uint8_t>(Code::Int) && size <= 8) {
    m.dtype = int_dtype(true, size);
  } else if (t.code == static_cast<uint8_t>(Code::UInt) && size <= 8) {
    m.dtype = int_dtype(false, size);
  } else if (is(Code::Float, 2)) {
    m.dtype = float16;
  } else if (is(Code::Float, 4)) {
    m.dtype = float32;
  } else if (is(Code::Float, 8)) {
    m.dtype = float64;
  } else if (is(Code::Bfloat, 2)) {
    m.dtype = bfloat16;
  } else if (is(Code::Complex, 8)) {
    m.dtype = complex64;
  } else if (is(Code::Complex, 16)) {
    m.dtype = complex128;
  }
  check(m.dtype && size == size_of(*m.dtype), "array", "Unsupported DLPack element type.");
}

template <typename... Config>
Memory describe(const nb::ndarray<Config...>& tensor) {
  check(tensor.device_type() == nb::device::cpu::value, "array",
        "Only memory of the CPU can be read.");
  Memory m{static_cast<const char*>(tensor.data()), {}, {}, {}, 0};
  set_dlpack_dtype(tensor.dtype(), m);
  for (size_t i = 0; i < tensor.ndim(); i++) {
    m.shape.push_back(extent(static_cast<int64_t>(tensor.shape(i))));
    m.strides.push_back(tensor.stride(i) * static_cast<int64_t>(m.itemsize));
  }
  return m;
}

std::optional<array> from_dlpack(nb::handle value, std::optional<Dtype> dtype) {
  nb::ndarray<nb::ro> tensor;
  if (!nb::try_cast(value, tensor)) {
    PyErr_Clear();
    return std::nullopt;
  }
  return copy_memory(describe(tensor), dtype);
}

array share_buffer(nb::handle value, std::optional<Dtype> dtype) {
  nb::object view = nb::steal(PyMemoryView_FromObject(value.ptr()));
  if (!view.is_valid()) {
    throw nb::python_error();
  }
  const Py_buffer& buffer = *PyMemoryView_GET_BUFFER(view.ptr());
  if (buffer.readonly) {
    fail_share("Elements of read-only memory, which a view of the array could write to,");
  }
  return share_memory(describe(buffer), dtype, std::move(view));
}

array share_dlpack(nb::handle value, std::optional<Dtype> dtype) {
  auto tensor = std::make_unique<nb::ndarray<>>();
  if (!nb::try_cast(value, *tensor)) {
    PyErr_Clear();
    fail_share("Elements that cannot be lent for writing");
  }
  Memory m = describe(*tensor);
  nb::capsule owner(tensor.release(),
                    [](void* p) noexcept { delete static_cast<nb::ndarray<>*>(p); });
  return share_memory(m, dtype, std::move(owner));
}

/** NumPy arrays of the bfloat16 that the package ml_dtypes adds have no buffer of their own. */
bool is_numpy_bfloat16(nb::handle value) {
  return nb::hasattr(value, "dtype") && nb::hasattr(value, "view") &&
         nb::hasattr(value.attr("dtype"), "name") &&
         value.attr("dtype").attr("name").equal(nb::str("bfloat16"));
}

const char* buffer_format(Dtype t) {
  switch (t.val()) {
    case Dtype::Val::bool_:
      return "?";
    case Dtype::Val::uint8:
      return "B";
    case Dtype::Val::uint16:
      return "H";
    case Dtype::Val::uint32:
      return "I";
    case Dtype::Val::uint64:
      return "Q";
    case Dtype::Val::int8:
      return "b";
    case Dtype::Val::int16:
      return "h";
    case Dtype::Val::int32:
      return "i";
    case Dtype::Val::int64:
      return "q";
    case Dtype::Val::float16:
      return "e";
    case Dtype::Val::float32:
      return "f";
    case Dtype::Val::float64:
      return "d";
    case Dtype::Val::bfloat16:
      return "bfloat16";
    case Dtype::Val::complex64:
      return "Zf";
    case Dtype::Val::complex128:
      return "Zd";
  }
  return nullptr;
}

/** What a Py_buffer points to: it keeps the memory while the Python array may move on. */
struct Export {
  array held;
  std::vector<Py_ssize_t> shape;
  std::vector<Py_ssize_t> strides;

  explicit Export(array a) : held(std::move(a)) {
    for (size_t i = 0; i < held.ndim(); i++) {
      shape.push_back(held.shape()[i]);
      strides.push_back(held.strides()[i] * static_cast<int64_t>(held.itemsize()));
    }
  }
};

/** Whether elements share memory, as those of broadcasts do. */
bool repeats(const array& a) {
  for (size_t i = 0; i < a.ndim(); i++) {
    if (a.strides()[i] == 0 && a.shape()[i] > 1 && a.size() > 0) {
      return true;
    }
  }
  return false;
}

/** Memory that cannot be had as the protocol asks for it. */
class NotLent : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void fill_view(array a, Py_buffer* view, int flags) {
  // The host sees device memory through a copy, and what it wrote there would be lost.
  bool is_copy = a.buffer().device_memory() != nullptr;
  bool read_only = is_copy || repeats(a);
  if (is_copy && (flags & PyBUF_WRITABLE) != 0) {
    throw NotLent(
        "[array] The memory of a GPU cannot be written to: copy the array, or make it with "
        "stream=mx.cpu.");
  }
  bool takes_strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
  bool wants_rows = (flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS || !takes_strides;
  bool wants_own = read_only && (flags & PyBUF_WRITABLE) != 0;
  if ((wants_rows && !a.flags().row_contiguous) || wants_own) {
    a = contiguous(a);
    eval_unlocked(a);
    read_only = is_copy;
  }
  auto exported = std::make_unique<Export>(std::move(a));
  view->buf = exported->held.data<char>();
  view->len = static_cast<Py_ssize_t>(exported->held.nbytes());
  view->itemsize = static_cast<Py_ssize_t>(exported->held.itemsize());
  view->readonly = read_only;
  view->ndim = static_cast<int>(exported->shape.size());
  view->format =
      (flags & PyBUF_FORMAT) ? const_cast<char*>(buffer_format(exported->held.dtype())) : nullptr;
  view->shape = (flags & PyBUF_ND) == PyBUF_ND ? exported->shape.data() : nullptr;
  view->strides = takes_strides ? exported->strides.data() : nullptr;
  view->suboffsets = nullptr;
  view->internal = exported.release();
}

}  // namespace

bool is_foreign_array(nb::handle value) {
  return PyObject_CheckBuffer(value.ptr()) || nb::hasattr(value, "__dlpack__") ||
         nb::hasattr(value, "__array__") || nb::hasattr(value, "__array_interface__");
}

std::optional<array> from_foreign(nb::handle value, std::optional<Dtype> dtype) {
  if (is_numpy_bfloat16(value)) {
    array bits = *from_buffer(value.attr("view")("uint16"), std::nullopt);
    array a = view(bits, bfloat16);
    return dtype ? astype(a, *dtype) : a;
  }
  if (PyObject_CheckBuffer(value.ptr())) {
    if (auto a = from_buffer(value, dtype)) {
      return a;
    }
  }
  if (nb::hasattr(value, "__dlpack__")) {
    if (auto a = from_dlpack(value, dtype)) {
      return a;
    }
  }
  if (nb::hasattr(value, "__array__") || nb::hasattr(value, "__array_interface__")) {
    nb::object made = nb::module_::import_("numpy").attr("asarray")(value);
    return from_buffer(made, dtype);
  }
  return std::nullopt;
}

array own_constants(array a) {
  eval_unlocked(a);
  if (a.data_size() == 1 && a.size() > 1) {
    a = contiguous(a);
    eval_unlocked(a);
  }
  return a;
}

array share_foreign(nb::handle value, std::optional<Dtype> dtype) {
  if (is_numpy_bfloat16(value)) {
    check(!dtype || *dtype == bfloat16, "asarray",
          "Elements of another dtype need a copy, which copy=False forbids.");
    return view(share_buffer(value.attr("view")("uint16"), std::nullopt), bfloat16);
  }
  if (PyObject_CheckBuffer(value.ptr())) {
    return share_buffer(value, dtype);
  }
  if (nb::hasattr(value, "__dlpack__")) {
    return share_dlpack(value, dtype);
  }
  fail_share("Values that offer no memory");
}

int get_buffer(PyObject* object, Py_buffer* view, int flags) {
  view->obj = nullptr;
  try {
    array a = own_constants(*as_array(object));
    fill_view(std::move(a), view, flags);
  } catch (const NotLent& e) {
    PyErr_SetString(PyExc_BufferError, e.what());
    return -1;
  } catch (...) {
    set_python_error(std::current_exception());
    return -1;
  }
  view->obj = object;
  Py_INCREF(object);
  return 0;
}

void release_buffer(PyObject*, Py_buffer* view) { delete static_cast<Export*>(view->internal); }

}  // namespace mlx::python
