// C++ failures as Python exceptions, and Python's signals as failures in C++.
#include "python/src/errors.h"

#include "mlx/core/errors.h"
#include "mlx/core/shape_checks.h"

#include <cstring>
#include <stdexcept>
#include <typeinfo>

#include "mlx/core/interrupt.h"
#include "mlx/debug.h"
#include "python/src/gil.h"

namespace mlx::python {

namespace {

PyObject* axis_error = nullptr;
PyObject* extent_error = nullptr;
PyObject* memory_error = nullptr;

/** A new exception class of two bases, so that handlers of either catch it. */
PyObject* make_class(nb::module_& m, const char* name, const char* doc, PyObject* first,
                     PyObject* second) {
  nb::object bases = nb::make_tuple(nb::handle(first), nb::handle(second));
  std::string full_name = std::string("mlx.core.") + name;
  PyObject* made = PyErr_NewExceptionWithDoc(full_name.c_str(), doc, bases.ptr(), nullptr);
  m.attr(name) = nb::handle(made);
  return made;
}

/** Sets a Python error; bytes of a message that are no text, say of a path, are shown as escapes.
 */
void set_error(PyObject* type, const char* message) {
  nb::object text = nb::steal(PyUnicode_DecodeUTF8(
      message, static_cast<Py_ssize_t>(std::strlen(message)), "backslashreplace"));
  PyErr_SetObject(type, text.ptr());
}

void translate(const std::exception_ptr& failure, void*) {
  if (!failure) {
    wait_for_the_end();  // no exception of C++, but Python that ends this thread
  }
  try {
    std::rethrow_exception(failure);
  } catch (const AxisError& e) {
    set_error(axis_error, e.what());
  } catch (const ExtentError& e) {
    set_error(extent_error, e.what());
  } catch (const OutOfMemory& e) {
    set_error(memory_error, e.what());
  } catch (const NanError& e) {
    set_error(PyExc_FloatingPointError, e.what());
  } catch (const Interrupted&) {
    if (!PyErr_Occurred()) {
      PyErr_SetNone(PyExc_KeyboardInterrupt);
    }
  } catch (const std::bad_cast&) {
    PyErr_SetString(PyExc_TypeError, "An argument is of a type that this function does not take.");
  } catch (const nb::builtin_exception&) {
    throw;
  } catch (const std::runtime_error& e) {
    set_error(PyExc_RuntimeError, e.what());
  } catch (const std::invalid_argument& e) {
    set_error(PyExc_ValueError, e.what());
  }
}

/** True with a Python error set if a signal handler raised. Asked by the main thread, where it
 * waits. */
bool signal_raised() {
  Locked locked;
  return PyErr_CheckSignals() != 0;
}

}  // namespace

void set_python_error(const std::exception_ptr& failure) {
  try {
    translate(failure, nullptr);
  } catch (nb::python_error& e) {
    e.restore();
  } catch (const std::bad_alloc& e) {
    set_error(PyExc_MemoryError, e.what());
  } catch (const std::out_of_range& e) {
    set_error(PyExc_IndexError, e.what());
  } catch (const std::exception& e) {
    set_error(PyExc_RuntimeError, e.what());
  }
}

std::string text_of(const nb::python_error& error) {
  nb::object text = nb::steal(PyObject_Str(error.value().ptr()));
  if (!text.is_valid()) {
    PyErr_Clear();
    return nb::type_name(error.type()).c_str();
  }
  return nb::cast<std::string>(text);
}

void bind_errors(nb::module_& m) {
  axis_error = make_class(m, "AxisError", "An axis that the array does not have.", PyExc_IndexError,
                          PyExc_ValueError);
  extent_error = make_class(m, "ExtentError", "An axis longer than 2^31 - 1.", PyExc_OverflowError,
                            PyExc_ValueError);
  memory_error = make_class(m, "OutOfMemoryError", "Memory that could not be had.",
                            PyExc_MemoryError, PyExc_RuntimeError);
  nb::register_exception_translator(translate);
  set_interrupt_check(signal_raised);
}

}  // namespace mlx::python
