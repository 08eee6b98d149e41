// Counts what steps have to do from their shapes.
#include "mlx/profiler/work.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "mlx/primitives/attention.h"
#include "mlx/primitives/conv.h"
#include "mlx/primitives/elementwise.h"
#include "mlx/primitives/fft.h"
#include "mlx/primitives/fused.h"
#include "mlx/primitives/gather_mm.h"
#include "mlx/primitives/joined.h"
#include "mlx/primitives/matmul.h"
#include "mlx/primitives/quantized.h"

namespace mlx::core::profiler {

namespace {

using Tensors = std::vector<Tensor>;

double elements(const Shape& shape) { return static_cast<double>(num_elements(shape)); }

void append_ops(const Program& program, std::vector<std::string>& ops) {
  for (auto& instruction : program.code) {
    ops.emplace_back(elementwise_info(instruction.op).name);
  }
}

// Casts are part of what reads them.
double operations_per_element(const Program& program) {
  return static_cast<double>(
      std::count_if(program.code.begin(), program.code.end(),
                    [](const Instruction& i) { return i.op != ElementwiseOp::Cast; }));
}

double product_operations(const Tensors& in, const Tensors& out) {
  return 2 * elements(out[0].shape) * in[0].shape.back();
}

double attention_operations(const AttentionSpec& spec, const Tensors& in) {
  const Shape &q = in[0].shape, &k = in[1].shape, &v = in[2].shape;
  double scores = elements(q) / std::max(q[3], 1) * k[2];
  double part = spec.causal && q[2] == k[2] ? 0.5 : 1;
  return 2 * part * scores * (k[3] + v[3]);
}

double fft_operations(const FFT& fft, const Tensors& in, const Tensors& out) {
  double n = std::max(fft.n(), 2);
  double rows = std::min(elements(in[0].shape) / std::max(in[0].shape[fft.axis()], 1),
                         elements(out[0].shape) / std::max(out[0].shape[fft.axis()], 1));
  double real = fft.kind() == FFT::Kind::full ? 1 : 0.5;
  return 5 * real * rows * n * std::log2(n);
}

double fft_operations(const FFTN& fft, const Tensors& out) {
  bool half = fft.kind() == FFT::Kind::to_half;
  double whole = half ? fft.lengths().back() : out[0].shape[fft.axes().back()];
  double n = 1, all = elements(out[0].shape) / out[0].shape[fft.axes().back()] * whole;
  for (int length : fft.lengths()) n *= length;
  double real = fft.kind() == FFT::Kind::full ? 1 : 0.5;
  return 5 * real * all * std::log2(std::max(n, 2.0));
}

double read_elements(const Tensors& in) {
  double sum = 0;
  for (auto& tensor : in) {
    sum += elements(tensor.shape);
  }
  return sum;
}

double fused_operations(const Fused& fused, const Tensors& in, const Tensors& out) {
  const Recipe& recipe = fused.recipe();
  double sum = operations_per_element(recipe.prologue) * elements(fused.shape());
  if (recipe.has_epilogue()) {
    sum += operations_per_element(recipe.epilogue) * elements(out.front().shape);
  }
  if (!fused.has_root()) {
    return sum;
  }
  Tensors root_in, root_out = out;
  if (recipe.has_prologue()) {
    root_in.push_back({fused.shape(), recipe.prologue.type_of(recipe.prologue.outputs.back())});
    root_out.erase(root_out.begin(),
                   root_out.begin() + (recipe.keeps_prologue ? recipe.prologue.outputs.size() : 0));
  }
  size_t behind = recipe.has_epilogue() ? recipe.epilogue.inputs.size() - 1 : 0;
  root_in.insert(root_in.end(), in.begin() + recipe.prologue.inputs.size(), in.end() - behind);
  return sum + operations_of(fused.root(), root_in, root_out);
}

double joined_operations(const Joined& joined, const Tensors& in, const Tensors& out) {
  double sum = 0;
  auto input = in.begin();
  auto output = out.begin();
  for (auto& member : joined.members()) {
    Tensors own_in(input, input + member.inputs), own_out(output, output + member.outputs);
    sum += operations_of(*member.primitive, own_in, own_out);
    input += member.inputs;
    output += member.outputs;
  }
  return sum;
}

}  // namespace

std::vector<std::string> ops_of(const Primitive& primitive) {
  std::vector<std::string> ops;
  if (auto* joined = as_joined(primitive)) {
    for (auto& member : joined->members()) ops.emplace_back(member.primitive->name());
    return ops;
  }
  auto* fused = dynamic_cast<const Fused*>(&primitive);
  if (!fused) {
    return {primitive.name()};
  }
  append_ops(fused->recipe().prologue, ops);
  if (fused->has_root()) {
    ops.emplace_back(fused->root().name());
  }
  append_ops(fused->recipe().epilogue, ops);
  return ops;
}

size_t bytes_of(const std::vector<array>& arrays) {
  std::unordered_set<std::uintptr_t> seen;
  size_t sum = 0;
  for (auto& a : arrays) {
    if (seen.insert(a.id()).second) {
      sum += std::min(a.size(), a.data_size()) * a.itemsize();
    }
  }
  return sum;
}

double operations_of(const Primitive& primitive, const Tensors& in, const Tensors& out) {
  if (auto* fused = dynamic_cast<const Fused*>(&primitive)) {
    return fused_operations(*fused, in, out);
  }
  if (auto* joined = as_joined(primitive)) {
    return joined_operations(*joined, in, out);
  }
  if (dynamic_cast<const Elementwise*>(&primitive)) {
    return elements(out[0].shape);
  }
  if (dynamic_cast<const Matmul*>(&primitive) || dynamic_cast<const AddMM*>(&primitive) ||
      dynamic_cast<const GatherMM*>(&primitive) ||
      dynamic_cast<const QuantizedMatmul*>(&primitive) ||
      dynamic_cast<const GatherQuantizedMatmul*>(&primitive)) {
    return product_operations(in, out);
  }
  if (dynamic_cast<const Convolution*>(&primitive)) {
    const Shape& weight = in[1].shape;
    return 2 * elements(out[0].shape) * elements(weight) / std::max(weight[0], 1);
  }
  if (dynamic_cast<const ConvolutionWeightGradient*>(&primitive)) {
    const Shape& weight = out[0].shape;
    return 2 * elements(in[1].shape) * elements(weight) / std::max(weight[0], 1);
  }
  if (auto* attention = dynamic_cast<const Attention*>(&primitive)) {
    return attention_operations(attention->spec(), in);
  }
  if (auto* attention = dynamic_cast<const AttentionBackward*>(&primitive)) {
    return 2.5 * attention_operations(attention->spec(), in);
  }
  if (auto* fft = dynamic_cast<const FFT*>(&primitive)) {
    return fft_operations(*fft, in, out);
  }
  if (auto* fft = dynamic_cast<const FFTN*>(&primitive)) {
    return fft_operations(*fft, out);
  }
  return read_elements(in);
}

}  // namespace mlx::core::profiler
