// Failures of C++ as Python's, for functions that Python calls without nanobind in between.
#pragma once

#include <exception>
#include <string>

#include "python/src/bindings.h"

namespace mlx::python {

/** Sets the Python error that a bound function would raise for `failure`. */
void set_python_error(const std::exception_ptr& failure);

/** What a Python error says, without the places where it was raised. */
std::string text_of(const nb::python_error& error);

}  // namespace mlx::python
