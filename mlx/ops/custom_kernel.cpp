// fast.cuda_kernel and fast.precompiled_cuda_kernel: checks, the text, the node. Kernels can be
// made anywhere; calling one where there is no GPU says so.
#include "mlx/primitives/custom_kernel.h"

#include <bit>
#include <cstdint>
#include <iostream>
#include <memory>
#include <stdexcept>

#include "mlx/core/errors.h"
#include "mlx/fast.h"
#include "mlx/ops/custom_kernel_text.h"
#include "mlx/utils.h"

namespace mlx::core::fast {

namespace {

using Extents = std::tuple<int, int, int>;

std::array<int, 3> extents(const char* op, const char* what, const Extents& sizes) {
  auto [x, y, z] = sizes;
  check(x >= 0 && y >= 0 && z >= 0, op, what, " (", x, ", ", y, ", ", z,
        ") has a negative extent.");
  return {x, y, z};
}

KernelStart start_of(const char* op, const Extents& grid, const Extents& threadgroup,
                     int shared_memory, std::optional<float> init_value, bool row_contiguous) {
  KernelStart start{extents(op, "grid", grid), extents(op, "threadgroup", threadgroup),
                    shared_memory, init_value, row_contiguous};
  int64_t threads = 1;
  for (int i = 0; i < 3; i++) {
    check(start.threadgroup[i] > 0, op, "threadgroup has an extent of 0.");
    threads *= std::min(start.threadgroup[i], std::max(start.grid[i], 1));
    int64_t blocks = start.grid[i] / start.threadgroup[i];
    check(i == 0 || blocks <= 65535, op, "The grid has ", blocks,
          " threadgroups along one axis, and at most 65535 fit along the second and third.");
  }
  check(threads <= 1024, op, "A threadgroup has at most 1024 threads, not ", threads, ".");
  check(shared_memory >= 0, op, "shared_memory must not be negative, not ", shared_memory, ".");
  return start;
}

void check_outputs(const char* op, const std::vector<Shape>& shapes,
                   const std::vector<Dtype>& dtypes) {
  check(shapes.size() == dtypes.size(), op, shapes.size(), " output_shapes do not fit ",
        dtypes.size(), " output_dtypes.");
}

Stream gpu_stream(const char* op, const StreamOrDevice& s) {
  if (device_count(Device::gpu) == 0) {
    throw std::runtime_error(error_message(op, "There is no GPU to run the kernel on."));
  }
  Stream stream = to_stream(s);
  check(stream.device.type == Device::gpu, op, "Kernels run on GPUs, not on ", stream.device, ".");
  return stream;
}

std::vector<Dtype> dtypes_of(const std::vector<array>& arrays) {
  std::vector<Dtype> dtypes;
  for (const array& a : arrays) {
    dtypes.push_back(a.dtype());
  }
  return dtypes;
}

void check_ranks(const std::vector<array>& inputs, const std::vector<int>& facts) {
  for (size_t i = 0; i < inputs.size(); i++) {
    check(facts[i] == 0 || inputs[i].ndim() <= kernel_axes, "cuda_kernel", "Input ", i, " has ",
          inputs[i].ndim(), " dimensions; shapes and strides are known to kernels up to ",
          kernel_axes, ".");
  }
}

KernelScalar scalar_of(const ScalarArg& value) {
  if (auto* flag = std::get_if<bool>(&value)) {
    return {*flag ? 1u : 0u, 1};
  }
  if (auto* number = std::get_if<int>(&value)) {
    return {std::bit_cast<uint32_t>(*number), 4};
  }
  return {std::bit_cast<uint32_t>(std::get<float>(value)), 4};
}

}  // namespace

CustomKernelFunction cuda_kernel(const std::string& name,
                                 const std::vector<std::string>& input_names,
                                 const std::vector<std::string>& output_names,
                                 const std::string& source, const std::string& header,
                                 bool ensure_row_contiguous, int shared_memory) {
  KernelDescription kernel{name, input_names, output_names, source, header};
  check_names(kernel);
  return [kernel = std::move(kernel), ensure_row_contiguous, shared_memory](
             const std::vector<array>& inputs, const std::vector<Shape>& output_shapes,
             const std::vector<Dtype>& output_dtypes, Extents grid, Extents threadgroup,
             const std::vector<std::pair<std::string, TemplateArg>>& template_args,
             std::optional<float> init_value, bool verbose, StreamOrDevice s) {
    constexpr const char* op = "cuda_kernel";
    check(inputs.size() == kernel.input_names.size(), op, "The kernel takes ",
          kernel.input_names.size(), " inputs, not ", inputs.size(), ".");
    check(output_shapes.size() == kernel.output_names.size(), op, "The kernel has ",
          kernel.output_names.size(), " outputs, and ", output_shapes.size(), " shapes are given.");
    check_outputs(op, output_shapes, output_dtypes);
    auto start = start_of(op, grid, threadgroup, shared_memory, init_value, ensure_row_contiguous);
    auto made = kernel_text(kernel, template_args, dtypes_of(inputs), output_dtypes);
    check_ranks(inputs, made.facts);
    if (verbose) {
      std::cout << made.text << std::flush;
    }
    auto node = std::make_shared<CustomKernel>(gpu_stream(op, s), made.function, made.text,
                                               made.facts, start);
    return array::make_arrays(output_shapes, output_dtypes, node, inputs);
  };
}

std::vector<array> precompiled_cuda_kernel(
    const std::string& name, const std::string& compiled_source, const std::vector<array>& inputs,
    const std::vector<Shape>& output_shapes, const std::vector<Dtype>& output_dtypes,
    const std::vector<ScalarArg>& scalars, Extents grid, Extents threadgroup, int shared_memory,
    std::optional<float> init_value, bool ensure_row_contiguous, StreamOrDevice s) {
  constexpr const char* op = "precompiled_cuda_kernel";
  check(!output_shapes.empty(), op, "A kernel has at least one output.");
  check(!compiled_source.empty(), op, "compiled_source is empty.");
  check_outputs(op, output_shapes, output_dtypes);
  auto start = start_of(op, grid, threadgroup, shared_memory, init_value, ensure_row_contiguous);
  std::vector<KernelScalar> values;
  for (const ScalarArg& scalar : scalars) {
    values.push_back(scalar_of(scalar));
  }
  auto node = std::make_shared<PrecompiledKernel>(gpu_stream(op, s), name, compiled_source,
                                                  std::move(values), start);
  return array::make_arrays(output_shapes, output_dtypes, node, inputs);
}

CustomKernelFunction metal_kernel(const std::string& /* name */,
                                  const std::vector<std::string>& input_names,
                                  const std::vector<std::string>& output_names,
                                  const std::string& /* source */, const std::string& /* header */,
                                  bool /* ensure_row_contiguous */, bool /* atomic_outputs */,
                                  const CompileOptions& /* compile_options */) {
  constexpr const char* op = "metal_kernel";
  check(!output_names.empty(), op, "A kernel has at least one output.");
  return [expected = input_names.size()](
             const std::vector<array>& inputs, const std::vector<Shape>&, const std::vector<Dtype>&,
             Extents, Extents, const std::vector<std::pair<std::string, TemplateArg>>&,
             std::optional<float>, bool, StreamOrDevice) -> std::vector<array> {
    check(inputs.size() == expected, op, "The kernel takes ", expected, " inputs, not ",
          inputs.size(), ".");
    throw std::runtime_error(error_message(op, "There is no Metal on this system."));
  };
}

}  // namespace mlx::core::fast
