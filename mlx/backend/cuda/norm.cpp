// Layer and RMS norm on the GPU, forward and backward.
#include "mlx/primitives/norm.h"

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/parameters.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = 256, columns = 32;

struct Arguments {
  int64_t rows, length;
  double eps;
  const void *x, *weight, *bias, *cotangent;
  void *out, *weight_out, *bias_out, *row_facts;
};

void start(const std::string& function, const Arguments& a, dim3 grid, dim3 block,
           const Stream& s) {
  Kernel kernel = kernel_of(function, "run_norm", s, [&] {
    return "#include \"mlx/backend/cuda/kernels/norm_rows.h\"\n"
           "using namespace mlx::core::kernels;\n"
           "extern \"C\" __global__ void run_norm(const __grid_constant__ NormRows p) { " +
           function + "(p); }\n";
  });
  launch(kernel, grid, block, s, a);
}

std::string function_of(const char* name, const NormSpec& spec, Dtype dtype) {
  return std::string(name) + "<" + type_name(dtype) + ", " +
         (spec.kind == NormSpec::Layer ? "true>" : "false>");
}

void eval_norm(Norm& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  const NormSpec& spec = primitive.spec();
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  std::vector<array> dense;
  for (const auto& in : inputs) {
    dense.push_back(contiguous(in, s));
  }
  Arguments a{};
  a.length = out.shape(-1);
  a.rows = static_cast<int64_t>(out.size()) / a.length;
  a.eps = spec.eps;
  a.x = input_address(dense[0], s);
  a.weight = spec.has_weight ? input_address(dense[1], s) : nullptr;
  a.bias = spec.has_bias ? input_address(dense.back(), s) : nullptr;
  a.out = output_address(out);
  start(function_of("norm_forward", spec, out.dtype()), a, blocks_for(a.rows, 1), threads, s);
}

void eval_norm_backward(NormBackward& primitive, const std::vector<array>& inputs,
                        std::vector<array>& outputs) {
  const NormSpec& spec = primitive.spec();
  const Stream& s = primitive.stream();
  for (auto& out : outputs) {
    allocate_output(out, s);
  }
  if (inputs[0].shape(-1) == 0) {
    return;
  }
  std::vector<array> dense;
  for (const auto& in : inputs) {
    dense.push_back(contiguous(in, s));
  }
  Arguments a{};
  a.length = inputs[0].shape(-1);
  a.rows = static_cast<int64_t>(inputs[0].size()) / a.length;
  a.eps = spec.eps;
  a.x = input_address(dense[0], s);
  a.weight = spec.has_weight ? input_address(dense[1], s) : nullptr;
  a.cotangent = input_address(dense.back(), s);
  a.out = output_address(outputs[0]);
  a.weight_out = spec.has_weight ? output_address(outputs[1]) : nullptr;
  a.bias_out = spec.has_bias ? output_address(outputs.back()) : nullptr;
  Scratch facts(static_cast<size_t>(a.rows) * 2 * sizeof(double), s);
  a.row_facts = facts.get();
  Dtype dtype = inputs[0].dtype();
  start(function_of("norm_backward", spec, dtype), a, blocks_for(a.rows, 1), threads, s);
  if (spec.has_weight || spec.has_bias) {
    start(std::string("norm_parameters<") + type_name(dtype) + ">", a,
          blocks_for(a.length, columns), dim3(columns, threads / columns), s);
  }
}

const Register<Norm> norm(eval_norm);
const Register<NormBackward> norm_backward(eval_norm_backward);

}  // namespace

}  // namespace mlx::core::cuda
