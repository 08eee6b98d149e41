// Graphs as DOT files.
#include <sstream>

#include "mlx/core/errors.h"
#include "mlx/graph_utils.h"
#include "mlx/io/load.h"
#include "python/src/convert.h"
#include "python/src/gil.h"
#include "python/src/python_file.h"
#include "python/src/trees.h"

namespace mlx::python {

void bind_export_dot(nb::module_& m) {
  m.def(
      "export_to_dot",
      [](nb::object file, const nb::args& args, const nb::kwargs& kwargs) {
        std::vector<array> outputs = tree_arrays_only(args, "export_to_dot");
        NodeNamer names;
        for (auto [key, value] : kwargs) {
          const array* a = as_array(value);
          check(a, "export_to_dot", "Only arrays can be named.");
          outputs.push_back(*a);
          names.set_name(*a, nb::cast<std::string>(key));
        }
        std::ostringstream text;
        export_to_dot(text, std::move(names), outputs);
        auto path = as_path(file, "export_to_dot");
        if (!path) {
          call_python(file.attr("write"), text.str());
          return;
        }
        io::FileWriter writer(*path);
        Unlocked unlocked;
        writer.write(text.str().data(), text.str().size());
        writer.close();
      },
      "file"_a, "args"_a, "kwargs"_a,
      "Writes the graph behind arrays, before they are computed, in the DOT language to a path or\n"
      "a text file object. Keywords name arrays; others get letters.");
}

}  // namespace mlx::python
