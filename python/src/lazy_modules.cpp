// Parts of the package that are written in Python, as attributes of mlx.core that are imported when
// they are first asked for.
#include <cctype>

#include "python/src/function.h"

namespace mlx::python {

namespace {

nb::object find_attribute(const std::string& name) {
  for (const char* part : {"nn", "optimizers", "profiler", "utils"}) {
    if (name == part) {
      return nb::module_::import_(("mlx." + name).c_str());
    }
  }
  // What begins with two underscores is mostly asked for by machinery, which should load nothing.
  if (!name.starts_with("__") || name.starts_with("__array_")) {
    nb::object functions = nb::module_::import_("mlx.functions");
    nb::object listed = functions.attr("__all__");
    if (PySequence_Contains(listed.ptr(), nb::str(name.c_str()).ptr()) == 1) {
      return functions.attr(name.c_str());
    }
  }
  // Activations are functions of arrays, too: mx.relu(x) is nn.relu(x).
  if (!name.empty() && std::islower(static_cast<unsigned char>(name[0]))) {
    nb::object activations = nb::module_::import_("mlx.nn.layers.activations");
    nb::object found = nb::getattr(activations, name.c_str(), nb::none());
    if (PyFunction_Check(found.ptr()) || nb::isinstance<TransformedFunction>(found)) {
      return found;
    }
  }
  throw nb::attribute_error(("module 'mlx.core' has no attribute '" + name +
                             "' (docs/compatibility.md lists the names of MLX that are missing)")
                                .c_str());
}

}  // namespace

void bind_lazy_modules(nb::module_& m) {
  m.def("__getattr__", &find_attribute, "name"_a,
        nb::sig("def __getattr__(name: str) -> typing.Any"));
}

}  // namespace mlx::python
