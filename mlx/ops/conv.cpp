// Convolutions: checks, defaults, and the one general form that all of them are.
#include "mlx/primitives/conv.h"

#include <tuple>

#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

/** One entry for each spatial axis: none given means the default, one means the same for all. */
std::vector<int> per_axis(std::vector<int> values, int spatial, int fallback, const char* what) {
  if (values.size() <= 1) {
    return std::vector<int>(spatial, values.empty() ? fallback : values[0]);
  }
  check(values.size() == static_cast<size_t>(spatial), "conv", "Invalid ", what, " of ",
        values.size(), " entries for a convolution with ", spatial, " spatial dimensions.");
  return values;
}

void check_positive(const std::vector<int>& values, const char* what) {
  for (int value : values) {
    check(value > 0, "conv", what, " must be positive, but got ", value, ".");
  }
}

void check_shapes(const array& input, const array& weight, int groups) {
  check(
      input.ndim() >= 3 && input.ndim() <= 5, "conv",
      "Only works for inputs with 1-3 spatial dimensions in the format [N, ..., C], but the input "
      "has shape ",
      input.shape(), ".");
  check(weight.ndim() == input.ndim(), "conv", "Input with shape ", input.shape(),
        " and weight with shape ", weight.shape(), " must have the same number of dimensions.");
  check(groups > 0, "conv", "The number of groups must be positive, but got ", groups, ".");
  int64_t channels = static_cast<int64_t>(weight.shape(-1)) * groups;
  check(input.shape(-1) == channels, "conv",
        "Input channels must match the weight's channels times the groups, but got an input with "
        "shape ",
        input.shape(), ", a weight with shape ", weight.shape(), " and ", groups, " groups.");
  check(weight.shape(0) % groups == 0, "conv",
        "Output channels must be divisible by the groups. Got ", weight.shape(0),
        " output channels and ", groups, " groups.");
}

/** Padding and flip that make conv_general a transposed convolution. */
array conv_transpose(const array& input, const array& weight, std::vector<int> stride,
                     std::vector<int> padding, std::vector<int> dilation,
                     std::vector<int> output_padding, int groups, StreamOrDevice s) {
  int spatial = static_cast<int>(stride.size());
  check(input.ndim() == stride.size() + 2, "conv_transpose", "Expected an input with ", spatial,
        " spatial dimensions, but its shape is ", input.shape(), ".");
  check(weight.ndim() == input.ndim(), "conv_transpose", "Input with shape ", input.shape(),
        " and weight with shape ", weight.shape(), " must have the same number of dimensions.");
  check_positive(stride, "Strides");
  std::vector<int> lo(spatial), hi(spatial);
  for (int i = 0; i < spatial; i++) {
    lo[i] = dilation[i] * (weight.shape(i + 1) - 1) - padding[i];
    hi[i] = lo[i] + output_padding[i];
  }
  return conv_general(input, weight, std::vector<int>(spatial, 1), lo, hi, std::move(dilation),
                      std::move(stride), groups, true, s);
}

array conv_forward(const array& input, const array& weight, std::vector<int> stride,
                   const std::vector<int>& padding, std::vector<int> dilation, int groups,
                   StreamOrDevice s) {
  check(input.ndim() == stride.size() + 2, "conv", "Expected an input with ", stride.size(),
        " spatial dimensions, but its shape is ", input.shape(), ".");
  return conv_general(input, weight, std::move(stride), padding, padding, std::move(dilation), {},
                      groups, false, s);
}

template <typename Tuple>
std::vector<int> entries(const Tuple& tuple) {
  return std::apply([](auto... values) { return std::vector<int>{values...}; }, tuple);
}

}  // namespace

array conv_general(array input, array weight, std::vector<int> stride, std::vector<int> padding_lo,
                   std::vector<int> padding_hi, std::vector<int> kernel_dilation,
                   std::vector<int> input_dilation, int groups, bool flip, StreamOrDevice s) {
  check_shapes(input, weight, groups);
  int spatial = static_cast<int>(input.ndim()) - 2;
  ConvParams params;
  params.stride = per_axis(std::move(stride), spatial, 1, "stride");
  params.padding_lo = per_axis(std::move(padding_lo), spatial, 0, "padding");
  params.padding_hi = per_axis(std::move(padding_hi), spatial, 0, "padding");
  params.kernel_dilation = per_axis(std::move(kernel_dilation), spatial, 1, "kernel dilation");
  params.input_dilation = per_axis(std::move(input_dilation), spatial, 1, "input dilation");
  params.groups = groups;
  params.flip = flip;
  check_positive(params.stride, "Strides");
  check_positive(params.kernel_dilation, "Kernel dilations");
  check_positive(params.input_dilation, "Input dilations");
  Dtype dtype = result_type(input, weight);
  check(issubdtype(dtype, floating), "conv",
        "Only real floating point types are supported, but got ", input.dtype(), " and ",
        weight.dtype(), ".");
  input = astype(input, dtype, s);
  weight = astype(weight, dtype, s);
  Shape shape = Convolution::output_shape(input.shape(), weight.shape(), params);
  return array(std::move(shape), dtype,
               std::make_shared<Convolution>(to_stream(s), std::move(params)), {input, weight});
}

array conv_general(const array& input, const array& weight, std::vector<int> stride,
                   std::vector<int> padding, std::vector<int> kernel_dilation,
                   std::vector<int> input_dilation, int groups, bool flip, StreamOrDevice s) {
  return conv_general(input, weight, std::move(stride), padding, padding,
                      std::move(kernel_dilation), std::move(input_dilation), groups, flip, s);
}

array conv1d(const array& input, const array& weight, int stride, int padding, int dilation,
             int groups, StreamOrDevice s) {
  return conv_forward(input, weight, {stride}, {padding}, {dilation}, groups, s);
}

array conv2d(const array& input, const array& weight, const std::pair<int, int>& stride,
             const std::pair<int, int>& padding, const std::pair<int, int>& dilation, int groups,
             StreamOrDevice s) {
  return conv_forward(input, weight, entries(stride), entries(padding), entries(dilation), groups,
                      s);
}

array conv3d(const array& input, const array& weight, const std::tuple<int, int, int>& stride,
             const std::tuple<int, int, int>& padding, const std::tuple<int, int, int>& dilation,
             int groups, StreamOrDevice s) {
  return conv_forward(input, weight, entries(stride), entries(padding), entries(dilation), groups,
                      s);
}

array conv_transpose1d(const array& input, const array& weight, int stride, int padding,
                       int dilation, int output_padding, int groups, StreamOrDevice s) {
  return conv_transpose(input, weight, {stride}, {padding}, {dilation}, {output_padding}, groups,
                        s);
}

array conv_transpose2d(const array& input, const array& weight, const std::pair<int, int>& stride,
                       const std::pair<int, int>& padding, const std::pair<int, int>& dilation,
                       const std::pair<int, int>& output_padding, int groups, StreamOrDevice s) {
  return conv_transpose(input, weight, entries(stride), entries(padding), entries(dilation),
                        entries(output_padding), groups, s);
}

array conv_transpose3d(const array& input, const array& weight,
                       const std::tuple<int, int, int>& stride,
                       const std::tuple<int, int, int>& padding,
                       const std::tuple<int, int, int>& dilation,
                       const std::tuple<int, int, int>& output_padding, int groups,
                       StreamOrDevice s) {
  return conv_transpose(input, weight, entries(stride), entries(padding), entries(dilation),
                        entries(output_padding), groups, s);
}

}  // namespace mlx::core
