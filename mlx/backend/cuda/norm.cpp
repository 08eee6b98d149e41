// Layer and RMS norm on the GPU, forward and backward.
#include "mlx/backend/cuda/norm.h"

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

KernelCall call_of(const char* name, NormSpec::Kind kind, Dtype dtype) {
  const char* is_layer = kind == NormSpec::Layer ? "true>" : "false>";
  return {"norm_rows.h", "NormRows", std::string(name) + "<" + type_name(dtype) + ", " + is_layer,
          threads};
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
  launch(kernel_of(norm_call(spec.kind, out.dtype()), s), blocks_for(a.rows, 1), threads, s, a);
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
  launch(kernel_of(norm_backward_call(spec.kind, dtype), s), blocks_for(a.rows, 1), threads, s, a);
  if (spec.has_weight || spec.has_bias) {
    launch(kernel_of(norm_parameters_call(dtype), s), blocks_for(a.length, columns),
           dim3(columns, threads / columns), s, a);
  }
}

const Register<Norm> norm(eval_norm);
const Register<NormBackward> norm_backward(eval_norm_backward);

}  // namespace

KernelCall norm_call(NormSpec::Kind kind, Dtype dtype) {
  return call_of("norm_forward", kind, dtype);
}

KernelCall norm_backward_call(NormSpec::Kind kind, Dtype dtype) {
  return call_of("norm_backward", kind, dtype);
}

KernelCall norm_parameters_call(Dtype dtype) {
  return {"norm_rows.h", "NormRows", std::string("norm_parameters<") + type_name(dtype) + ">",
          threads};
}

}  // namespace mlx::core::cuda
