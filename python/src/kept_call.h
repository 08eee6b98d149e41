// Functions with rules of their own, as compiled functions keep them: objects that Python's
// collector sees, since several compiled functions may share one that refers to them.
#pragma once

#include "python/src/bindings.h"

namespace mlx::python {

/** The reference to a Python object that is behind what `mlx::core::keep_call` gave. */
nb::object* kept_reference(const void* kept);

void bind_kept_call(nb::module_& m);

}  // namespace mlx::python
