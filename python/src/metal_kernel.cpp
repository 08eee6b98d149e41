// fast.metal_kernel: programs make their kernels for Apple's GPUs when they are imported, and look
// for Metal before they call one. So making one works everywhere, and calling it says what is
// missing.
#include <stdexcept>

#include "mlx/core/errors.h"
#include "python/src/bindings.h"

namespace mlx::python {

namespace {

constexpr const char* op = "metal_kernel";

nb::object call_kernel(size_t expected, const nb::list& inputs) {
  check(inputs.size() == expected, op, "The kernel takes ", expected, " inputs, not ",
        inputs.size(), ".");
  throw std::runtime_error(error_message(op, "There is no Metal on this system."));
}

nb::object make_kernel(const std::string&, const std::vector<std::string>& input_names,
                       const std::vector<std::string>& output_names, const std::string&,
                       const std::string&, bool, bool, const nb::object& compile_options) {
  check(!output_names.empty(), op, "A kernel has at least one output.");
  check(compile_options.is_none() || nb::isinstance<nb::dict>(compile_options), op,
        "compile_options must be a dict.");
  size_t expected = input_names.size();
  return nb::cpp_function(
      [expected](const nb::list& inputs, nb::handle, nb::handle, nb::handle, nb::handle, nb::handle,
                 nb::handle, bool, nb::handle) { return call_kernel(expected, inputs); },
      nb::kw_only(), "inputs"_a, "output_shapes"_a, "output_dtypes"_a, "grid"_a, "threadgroup"_a,
      "template"_a = nb::none(), "init_value"_a = nb::none(), "verbose"_a = false,
      "stream"_a = nb::none());
}

}  // namespace

void bind_metal_kernel(nb::module_& fast) {
  fast.def("metal_kernel", &make_kernel, "name"_a, "input_names"_a, "output_names"_a, "source"_a,
           "header"_a = "", "ensure_row_contiguous"_a = true, "atomic_outputs"_a = false,
           "compile_options"_a = nb::none(),
           "A kernel for Apple's GPUs, which this system does not have: calling it raises\n"
           "RuntimeError. `mx.metal.is_available()` tells before.");
}

}  // namespace mlx::python
