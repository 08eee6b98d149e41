// The modes of mx.set_debug, and where the library asks for lines of Python programs.
#pragma once

#include "python/src/bindings.h"

namespace mlx::python {

void bind_debug(nb::module_& m);

}  // namespace mlx::python
