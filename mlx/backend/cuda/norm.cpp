// Layer and RMS norm on the GPU, forward and backward.
#include "mlx/backend/cuda/norm.h"

#include <algorithm>
#include <span>
#include <typeinfo>

#include "mlx/backend/common/residual_norm.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/norm_call.h"
#include "mlx/backend/cuda/made_row.h"
#include "mlx/backend/cuda/program.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

using kernels::NormCall;

constexpr int threads = row_threads, columns = 32, parameter_threads = 1024;

/** Threads of a block of the backward kernel. */
int backward_threads(RowVariant v) { return v.lanes > 32 ? v.lanes : 128; }

/** Blocks that there are for the rows backward: about what a GPU runs at a time, and the same on
 * all of them. */
int64_t most_strips(RowVariant v) { return v.lanes > 32 ? 256 : 512; }

std::string function_of(const char* name, NormSpec::Kind kind, Dtype dtype, RowVariant v) {
  const char* is_layer = kind == NormSpec::Layer ? ", true, " : ", false, ";
  return std::string(name) + "<" + type_name(dtype) + is_layer + to_string(v) + ">";
}

NormCall rows_of(const array& x, const NormSpec& spec, const Stream& s) {
  NormCall call{};
  call.length = x.shape(-1);
  call.rows = static_cast<int64_t>(x.size()) / call.length;
  call.eps = spec.eps;
  call.x = input_address(x, s);
  return call;
}

RowVariant variant_of(const NormCall& call, Dtype dtype) {
  return row_variant(
      dtype, call.length,
      {call.x, call.residual, call.weight, call.bias, call.cotangent, call.out, call.sum});
}

/** Lets the blocks of a product make the row that kernel number `launch` makes. */
void offer(const NormSpec& spec, const NormOperands& operands, const NormCall& call, RowVariant v,
           uint64_t launch, const Stream& s) {
  std::vector<array> others{operands.x};
  for (const array* each : {operands.residual, operands.weight, operands.bias,
                            static_cast<const array*>(operands.sum)}) {
    if (each) others.push_back(*each);
  }
  Dtype dtype = operands.x.dtype();
  RowMaker maker{{-1 - static_cast<int64_t>(dtype.val()) * 2 - spec.kind,
                  (int64_t{v.lanes} * 64 + v.width) * 64 + v.packs},
                 [=, kind = spec.kind] { return norm_row_text(kind, dtype, v); },
                 Parameters(call),
                 v.lanes > 32 ? static_cast<unsigned>(threads) : 0u};
  offer_row(launch, s, operands.out, std::move(others), std::move(maker));
}

void eval_norm(Norm& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  const NormSpec& spec = primitive.spec();
  const Stream& s = primitive.stream();
  bool is_short = is_short_row(out);
  if (is_short) allocate_output(out, s);
  array x = is_short ? contiguous(inputs[0], s) : contiguous_for(inputs[0], out, s);
  if (out.size() == 0) {
    return;
  }
  array weight = spec.has_weight ? contiguous(inputs[1], s) : x;
  array bias = spec.has_bias ? contiguous(inputs.back(), s) : x;
  run_norm(spec,
           {x, nullptr, spec.has_weight ? &weight : nullptr, spec.has_bias ? &bias : nullptr, out,
            nullptr},
           s);
}

/** The kernel for x, and that for the parameters behind it. */
void run_backward(NormCall& call, const NormSpec& spec, Dtype dtype, const Stream& s) {
  RowVariant variant = variant_of(call, dtype);
  int block = backward_threads(variant);
  int64_t groups = block / variant.lanes, most = most_strips(variant);
  bool has_parameters = call.weight_out || call.bias_out;
  int64_t least = (call.rows + most - 1) / most;
  call.strip_rows = has_parameters ? (least + groups - 1) / groups * groups : groups;
  call.strip_rows = std::max<int64_t>(call.strip_rows, groups);
  call.strips = (call.rows + call.strip_rows - 1) / call.strip_rows;
  size_t sum_bytes = dtype == float64 ? sizeof(double) : sizeof(float);
  size_t bytes =
      has_parameters ? static_cast<size_t>(call.strips * 2 * call.length) * sum_bytes : 0;
  Scratch parts(std::max<size_t>(bytes, 1), s);
  call.parts = has_parameters ? parts.get() : nullptr;
  launch(kernel_of(norm_backward_call(spec.kind, dtype, variant), s), blocks_for(call.strips, 1),
         static_cast<unsigned>(block), s, call);
  if (has_parameters) {
    launch(kernel_of(norm_parameters_call(dtype), s), blocks_for(call.length, columns),
           dim3(columns, parameter_threads / columns), s, call);
  }
}

/** Gradients from the inputs of NormBackward; the first has `added`, of the shape of x, added to it
 *  as if it were an array of its own. */
void differentiate(const NormSpec& spec, std::span<const array> inputs, const array* added,
                   std::vector<array>& outputs, const Stream& s) {
  array cotangent = contiguous_for(inputs.back(), outputs[0], s);
  for (size_t i = 1; i < outputs.size(); i++) {
    allocate_output(outputs[i], s);
  }
  if (inputs[0].shape(-1) == 0) {
    return;
  }
  array x = contiguous(inputs[0], s), weight = spec.has_weight ? contiguous(inputs[1], s) : x;
  array other = added ? contiguous(*added, s) : x;
  NormCall call = rows_of(x, spec, s);
  call.weight = spec.has_weight ? input_address(weight, s) : nullptr;
  call.cotangent = input_address(cotangent, s);
  call.residual = added ? input_address(other, s) : nullptr;
  call.out = output_address(outputs[0]);
  call.weight_out = spec.has_weight ? output_address(outputs[1]) : nullptr;
  call.bias_out = spec.has_bias ? output_address(outputs.back()) : nullptr;
  run_backward(call, spec, x.dtype(), s);
}

void eval_norm_backward(NormBackward& primitive, const std::vector<array>& inputs,
                        std::vector<array>& outputs) {
  differentiate(primitive.spec(), inputs, nullptr, outputs, primitive.stream());
}

void foresee_norm(const Norm& primitive, const std::vector<array>& /* inputs */,
                  const std::vector<array>& outputs) {
  const array& out = outputs[0];
  RowVariant variant = row_variant(out.dtype(), out.shape(-1), {});
  foresee_kernel(norm_call(primitive.spec().kind, out.dtype(), variant), primitive.stream());
}

void foresee_norm_backward(const NormBackward& primitive, const std::vector<array>& /* inputs */,
                           const std::vector<array>& outputs) {
  const array& out = outputs[0];
  RowVariant variant = row_variant(out.dtype(), out.shape(-1), {});
  const Stream& s = primitive.stream();
  foresee_kernel(norm_backward_call(primitive.spec().kind, out.dtype(), variant), s);
  if (outputs.size() > 1) foresee_kernel(norm_parameters_call(out.dtype()), s);
}

const Register<Norm> norm(eval_norm, nullptr, foresee_norm);
const Register<NormBackward> norm_backward(eval_norm_backward, nullptr, foresee_norm_backward);

}  // namespace

void run_norm(const NormSpec& spec, const NormOperands& operands, const Stream& s) {
  NormCall call = rows_of(operands.x, spec, s);
  call.residual = operands.residual ? input_address(*operands.residual, s) : nullptr;
  call.weight = operands.weight ? input_address(*operands.weight, s) : nullptr;
  call.bias = operands.bias ? input_address(*operands.bias, s) : nullptr;
  call.out = output_address(operands.out);
  call.sum = operands.sum ? output_address(*operands.sum) : nullptr;
  Dtype dtype = operands.x.dtype();
  RowVariant variant = variant_of(call, dtype);
  static auto* kernels = new KernelTable;
  Kernel kernel = kernels->find(
      {spec.kind, static_cast<int64_t>(dtype.val()), variant.lanes, variant.width, variant.packs},
      s, [&] { return norm_call(spec.kind, dtype, variant); });
  uint64_t number =
      launch(kernel, blocks_for(call.rows, threads / variant.lanes), threads, s, call);
  if (is_short_row(operands.out) && variant.packs > 0)
    offer(spec, operands, call, variant, number, s);
}

void run_residual_norm(Fused& fused, const std::vector<array>& inputs,
                       std::vector<array>& outputs) {
  ResidualNorm step(fused, inputs, outputs);
  const Stream& s = fused.stream();
  if (!step.adds_rows()) {
    std::vector<array> sums{step.sum}, results{step.out};
    run_program(fused.recipe().prologue, {step.x, step.residual}, sums, s);
    fused.root().eval_gpu(step.norm_inputs(), results);
    return;
  }
  bool taken = false, keeps_inputs = is_short_row(step.out);
  for (const array* in : {&step.x, &step.residual}) {
    if (keeps_inputs) break;
    taken = taken || (in->flags().row_contiguous && write_over(*in, step.sum, s));
  }
  if (!taken) allocate_output(step.sum, s);
  allocate_output(step.out, s);
  array x = contiguous(step.x, s), residual = contiguous(step.residual, s);
  std::vector<array> parameters;
  for (auto& p : step.parameters) parameters.push_back(contiguous(p, s));
  run_norm(step.spec,
           {x, &residual, step.spec.has_weight ? &parameters.front() : nullptr,
            step.spec.has_bias ? &parameters.back() : nullptr, step.out, &step.sum},
           s);
}

bool adds_to_norm_gradient(const Primitive& root, const Program& program) {
  return typeid(root) == typeid(NormBackward) && program.code.size() == 1 &&
         program.inputs.size() == 2 && program.outputs.size() == 1 &&
         program.code[0].op == ElementwiseOp::Add;
}

void run_added_norm_gradient(Fused& fused, const std::vector<array>& inputs,
                             std::vector<array>& outputs) {
  const NormSpec& spec = static_cast<const NormBackward&>(fused.root()).spec();
  const Stream& s = fused.stream();
  const array& added = inputs.back();
  std::span<const array> own(inputs.begin(), inputs.end() - 1);
  if (added.shape() == inputs[0].shape()) {
    differentiate(spec, own, &added, outputs, s);
    return;
  }
  std::vector<array> gradients = outputs, sums{outputs[0]};
  gradients[0] = array(outputs[0].shape(), outputs[0].dtype(), nullptr, {});
  differentiate(spec, own, nullptr, gradients, s);
  run_program(fused.recipe().epilogue, {gradients[0], added}, sums, s);
}

KernelCall norm_call(NormSpec::Kind kind, Dtype dtype, RowVariant variant) {
  return {"norm.h", "NormCall", function_of("norm_forward", kind, dtype, variant),
          threads,  1,          std::string("fetch_parameters<") + type_name(dtype) + ">"};
}

std::string norm_row_text(NormSpec::Kind kind, Dtype dtype, RowVariant variant) {
  return "#include \"mlx/backend/cuda/kernels/norm.h\"\n"
         "using namespace mlx::core::kernels;\nusing Row = NormCall;\n"
         "MLX_FN void make_row(const Row& p, void* row) { " +
         function_of("norm_row", kind, dtype, variant) + "(p, row); }\n";
}

KernelCall norm_backward_call(NormSpec::Kind kind, Dtype dtype, RowVariant variant) {
  // Registers for two rows and two sums of each column: four blocks of warps, or what that leaves.
  int blocks = variant.lanes > 32 ? 2 : 4;
  bool large = variant.packs * variant.width * (dtype == float64 ? 2 : 1) > 24;
  return {"norm.h", "NormCall", function_of("norm_backward", kind, dtype, variant),
          backward_threads(variant), large ? blocks - 1 : blocks};
}

KernelCall norm_parameters_call(Dtype dtype) {
  return {"norm.h", "NormCall", std::string("norm_parameters<") + type_name(dtype) + ">",
          parameter_threads};
}

}  // namespace mlx::core::cuda
