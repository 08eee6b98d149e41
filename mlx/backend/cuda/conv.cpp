// Convolutions on the GPU: plain products where a pixel reads one pixel and no kernel is faster,
// else the kernels.
#include "mlx/primitives/conv.h"

#include <algorithm>

#include "mlx/backend/cuda/conv_gemm.h"
#include "mlx/backend/cuda/conv_mapping.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/matmul_plan.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"

namespace mlx::core::cuda {

namespace {

bool are_all(const std::vector<int>& values, int wanted) {
  return std::all_of(values.begin(), values.end(), [&](int x) { return x == wanted; });
}

/** Whether output pixel i reads input pixel i and nothing else. */
bool is_pointwise(const ConvParams& p, const Shape& kernel) {
  return p.groups == 1 && are_all(p.stride, 1) && are_all(p.padding_lo, 0) &&
         are_all(p.padding_hi, 0) && are_all(p.input_dilation, 1) &&
         std::all_of(kernel.begin(), kernel.end(), [](int x) { return x == 1; });
}

Shape kernel_of(const array& weight) {
  return Shape(weight.shape().begin() + 1, weight.shape().end() - 1);
}

/** out (pixels, o) = in (pixels, c) weight (o, c) transposed. */
void multiply(const array& in, const array& weight, array& out, const Stream& s) {
  int64_t channels = in.shape(-1), outputs = out.shape(-1);
  bool rows = weight.strides(-1) == 1 || channels == 1;  // of one output channel
  Product p{out.dtype(),
            static_cast<int64_t>(out.size()) / outputs,
            outputs,
            channels,
            1,
            {input_address(in, s), false, channels, 0},
            {input_address(weight, s), rows, weight.strides(rows ? 0 : -1), 0},
            1.0f,
            0.0f,
            nullptr,
            output_address(out),
            0};
  run_product(p, s);
}

bool is_matrix(const array& weight) {
  int64_t row = weight.strides(0), column = weight.strides(-1);
  return (column == 1 && row >= weight.shape(-1)) || (row == 1 && column >= weight.shape(0));
}

void eval_conv(Convolution& primitive, const std::vector<array>& inputs,
               std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  const ConvParams& params = primitive.params();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  if (inputs[1].size() == 0 || inputs[0].size() == 0) {
    clear(output_address(out), out.nbytes(), s);
    return;
  }
  if (is_pointwise(params, kernel_of(inputs[1])) && is_matrix(inputs[1]) &&
      !packs_weight(inputs[0], out.shape(-1), params.groups, s)) {
    multiply(contiguous(inputs[0], s), inputs[1], out, s);
    return;
  }
  if (convolve_by_library(inputs[0], inputs[1], out, params, s)) {
    return;
  }
  convolve(inputs[0], inputs[1], out, params, s);
}

void eval_weight_gradient(ConvolutionWeightGradient& primitive, const std::vector<array>& inputs,
                          std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  auto [params, kernel] = primitive.fields();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  bool empty = inputs[0].size() == 0 || inputs[1].size() == 0;
  if (empty || !are_all(params.input_dilation, 1)) {
    // Some positions of the kernel may only ever meet the zeros of the dilated input.
    clear(output_address(out), out.nbytes(), s);
  }
  if (empty) {
    return;
  }
  if (differentiate_by_library(inputs[0], inputs[1], out, params, s)) {
    return;
  }
  convolve_weight(inputs[0], inputs[1], out, params, s);
}

const Register<Convolution> convolution(eval_conv);
const Register<ConvolutionWeightGradient> weight_gradient(eval_weight_gradient);

}  // namespace

}  // namespace mlx::core::cuda
