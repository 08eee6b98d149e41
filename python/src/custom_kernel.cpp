// fast.cuda_kernel, fast.precompiled_cuda_kernel and fast.metal_kernel: programs make their kernels
// when they are imported, so that works everywhere; a call where there is no such GPU raises.
#include "mlx/core/errors.h"
#include "mlx/fast.h"
#include "python/src/def_op.h"

namespace mlx::python {

namespace {

using Extents = std::tuple<int, int, int>;
using TemplateList = std::vector<std::pair<std::string, fast::TemplateArg>>;

int to_int(const char* op, const std::string& what, nb::handle value) {
  int number = 0;
  check(load_int(value.ptr(), number), op, what, " must be a bool, an int of 32 bits, or a ",
        "type that kernels take, not ", nb::repr(value).c_str(), ".");
  return number;
}

fast::TemplateArg template_value(const char* op, const std::string& name, nb::handle value) {
  Dtype dtype = float32;
  if (nb::try_cast(value, dtype)) {
    return dtype;
  }
  if (nb::isinstance<nb::bool_>(value)) {
    return nb::cast<bool>(value);
  }
  return to_int(op, "The template argument '" + name + "'", value);
}

TemplateList template_list(const char* op, const nb::handle& given) {
  TemplateList out;
  if (!given.is_none()) {
    for (auto& [name, value] : nb::cast<std::vector<std::pair<std::string, nb::object>>>(given)) {
      out.emplace_back(name, template_value(op, name, value));
    }
  }
  return out;
}

std::vector<array> to_arrays(const std::vector<Operand>& operands) {
  std::vector<array> arrays;
  for (const Operand& operand : operands) {
    arrays.push_back(to_array(operand));
  }
  return arrays;
}

fast::ScalarArg scalar_value(nb::handle value) {
  if (nb::isinstance<nb::bool_>(value)) {
    return nb::cast<bool>(value);
  }
  if (nb::isinstance<nb::float_>(value)) {
    return nb::cast<float>(value);
  }
  return to_int("precompiled_cuda_kernel", "A scalar", value);
}

nb::object callable(const char* op, fast::CustomKernelFunction kernel) {
  return nb::cpp_function(
      [op, kernel = std::move(kernel)](
          const std::vector<Operand>& inputs, const std::vector<Shape>& output_shapes,
          const std::vector<Dtype>& output_dtypes, const Extents& grid, const Extents& threadgroup,
          const nb::object& template_args, std::optional<float> init_value, bool verbose,
          StreamOrDevice s) {
        return kernel(to_arrays(inputs), output_shapes, output_dtypes, grid, threadgroup,
                      template_list(op, template_args), init_value, verbose, s);
      },
      nb::kw_only(), "inputs"_a, "output_shapes"_a, "output_dtypes"_a, "grid"_a, "threadgroup"_a,
      "template"_a = nb::none(), "init_value"_a = nb::none(), "verbose"_a = false,
      "stream"_a = nb::none());
}

nb::object make_cuda_kernel(const std::string& name, const std::vector<std::string>& input_names,
                            const std::vector<std::string>& output_names, const std::string& source,
                            const std::string& header, bool ensure_row_contiguous,
                            int shared_memory) {
  return callable("cuda_kernel", fast::cuda_kernel(name, input_names, output_names, source, header,
                                                   ensure_row_contiguous, shared_memory));
}

nb::object make_metal_kernel(const std::string& name, const std::vector<std::string>& input_names,
                             const std::vector<std::string>& output_names,
                             const std::string& source, const std::string& header,
                             bool ensure_row_contiguous, bool atomic_outputs,
                             const nb::object& compile_options) {
  check(compile_options.is_none() || nb::isinstance<nb::dict>(compile_options), "metal_kernel",
        "compile_options must be a dict.");
  return callable("metal_kernel",
                  fast::metal_kernel(name, input_names, output_names, source, header,
                                     ensure_row_contiguous, atomic_outputs));
}

std::vector<array> run_precompiled(const std::string& name, const nb::bytes& compiled_source,
                                   const std::vector<Operand>& inputs,
                                   const std::vector<Shape>& output_shapes,
                                   const std::vector<Dtype>& output_dtypes,
                                   const std::vector<nb::object>& scalars, const Extents& grid,
                                   const Extents& threadgroup, int shared_memory,
                                   std::optional<float> init_value, bool ensure_row_contiguous,
                                   StreamOrDevice s) {
  std::vector<fast::ScalarArg> values;
  for (auto& scalar : scalars) {
    values.push_back(scalar_value(scalar));
  }
  std::string code(compiled_source.c_str(), compiled_source.size());
  return fast::precompiled_cuda_kernel(name, code, to_arrays(inputs), output_shapes, output_dtypes,
                                       values, grid, threadgroup, shared_memory, init_value,
                                       ensure_row_contiguous, s);
}

}  // namespace

void bind_cuda_kernel(nb::module_& fast) {
  fast.def(
      "cuda_kernel", &make_cuda_kernel, "name"_a, "input_names"_a, "output_names"_a, "source"_a,
      "header"_a = "", "ensure_row_contiguous"_a = true, "shared_memory"_a = 0,
      "A kernel whose body is `source`, CUDA C++ that knows inputs and outputs as pointers by\n"
      "their names, and `x_shape`, `x_strides` and `x_ndim` of an input x where it says so;\n"
      "`header` comes before it. Call it with `inputs`, `output_shapes`, `output_dtypes`,\n"
      "`grid` (in threads), `threadgroup`, and if need be with `template`, a list of names\n"
      "with the dtypes, ints and bools they stand for, `init_value`, which outputs hold\n"
      "before, `verbose`, which prints the text, and `stream`. Calling raises RuntimeError\n"
      "where there is no GPU, and evaluating where the source does not compile.");
  fast.def("precompiled_cuda_kernel", &run_precompiled, nb::kw_only(), "name"_a,
           "compiled_source"_a, "inputs"_a, "output_shapes"_a, "output_dtypes"_a, "scalars"_a,
           "grid"_a, "threadgroup"_a, "shared_memory"_a = 0, "init_value"_a = nb::none(),
           "ensure_row_contiguous"_a = false, "stream"_a = nb::none(),
           "Runs the kernel `name` of PTX or machine code (bytes), which takes the addresses of\n"
           "the inputs, those of the outputs, and the scalars, as bool, int32 or float32.");
}

void bind_metal_kernel(nb::module_& fast) {
  fast.def("metal_kernel", &make_metal_kernel, "name"_a, "input_names"_a, "output_names"_a,
           "source"_a, "header"_a = "", "ensure_row_contiguous"_a = true,
           "atomic_outputs"_a = false, "compile_options"_a = nb::none(),
           "A kernel for Apple's GPUs, which this system does not have: calling it raises\n"
           "RuntimeError. `mx.metal.is_available()` tells before.");
}

}  // namespace mlx::python
