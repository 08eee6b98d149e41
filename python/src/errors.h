// Failures of C++ as Python's, for functions that Python calls without nanobind in between.
#pragma once

#include <exception>

namespace mlx::python {

/** Sets the Python error that a bound function would raise for `failure`. */
void set_python_error(const std::exception_ptr& failure);

}  // namespace mlx::python
