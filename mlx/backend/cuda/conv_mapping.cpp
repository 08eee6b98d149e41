// cuDNN knows a convolution and the two ways back. A derivative for the input reaches the backend
// as a flipped convolution of a dilated cotangent, and is recognised by that.
#include "mlx/backend/cuda/conv_mapping.h"

#include <algorithm>

#include "mlx/backend/cuda/conv_library.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/utils.h"

namespace mlx::core::cuda {

namespace {

/** Channels come in pieces of 16 bytes; cuDNN copies others about first. */
constexpr int channel_piece = 8;

bool are_all(const std::vector<int>& values, int wanted) {
  return std::all_of(values.begin(), values.end(), [&](int x) { return x == wanted; });
}

/** Moves channels to the front; one spatial axis becomes two. */
std::vector<int64_t> channels_first(const std::vector<int64_t>& values, int64_t missing) {
  std::vector<int64_t> result = {values.front(), values.back()};
  if (values.size() == 3) {
    result.push_back(missing);
  }
  result.insert(result.end(), values.begin() + 1, values.end() - 1);
  return result;
}

LibraryTensor tensor_of(const Shape& shape, const void* data) {
  std::vector<int64_t> extents(shape.begin(), shape.end()), strides(shape.size(), 1);
  for (size_t i = shape.size() - 1; i > 0; i--) {
    strides[i - 1] = strides[i] * extents[i];
  }
  return {channels_first(extents, 1), channels_first(strides, strides[0]), data};
}

std::vector<int64_t> two_axes(const std::vector<int>& values, int64_t missing) {
  std::vector<int64_t> result(values.begin(), values.end());
  if (result.size() == 1) {
    result.insert(result.begin(), missing);
  }
  return result;
}

/** float32 only where the user asks for less: the library multiplies it as TF32. */
bool is_suited(Dtype dtype, int channels, int out_channels, int groups) {
  bool has_type = dtype == float16 || dtype == bfloat16 || (dtype == float32 && env::enable_tf32());
  bool depthwise = groups > 1 && channels == groups;
  return has_type && !depthwise && channels % channel_piece == 0 &&
         out_channels % channel_piece == 0;
}

/** Whether padding that is the same at both ends gives these extents. */
bool fits(const Shape& x, const Shape& kernel, const Shape& y, const std::vector<int>& stride,
          const std::vector<int>& padding, const std::vector<int>& dilation) {
  for (size_t i = 0; i < stride.size(); i++) {
    int64_t reach = int64_t{kernel[i + 1] - 1} * dilation[i] + 1;
    int64_t room = x[i + 1] + 2 * int64_t{padding[i]} - reach;
    if (padding[i] < 0 || room < 0 || room / stride[i] + 1 != y[i + 1]) {
      return false;
    }
  }
  return true;
}

LibraryConv conv_of(LibraryConv::Result result, Dtype dtype, const std::vector<int>& stride,
                    const std::vector<int>& padding, const std::vector<int>& dilation) {
  return {
      result, dtype, {}, {}, {}, two_axes(stride, 1), two_axes(padding, 0), two_axes(dilation, 1)};
}

/** (groups * a, kernel..., b) as (groups * b, kernel..., a) in rows; a copy unless it lies so. */
array swap_channels(const array& weight, int groups, const Stream& s) {
  Shape shape = weight.shape();
  shape.front() = weight.shape(-1) * groups;
  shape.back() = weight.shape(0) / groups;
  array out(shape, weight.dtype(), nullptr, {});
  Shape split = shape;
  split.insert(split.begin(), groups);
  split[1] = weight.shape(-1);
  Strides from = weight.strides();
  from.insert(from.begin(), weight.strides(0) * shape.back());
  std::swap(from[1], from.back());
  Strides to(split.size(), 1);
  bool same = true;
  for (size_t i = split.size() - 1; i > 0; i--) {
    to[i - 1] = to[i] * split[i];
  }
  for (size_t i = 0; i < split.size(); i++) {
    same = same && (split[i] == 1 || from[i] == to[i]);
  }
  if (same) {
    out.copy_shared_buffer(weight, out.strides(), out.flags(), out.size());
    return out;
  }
  allocate_output(out, s);
  copy_strided(input_address(weight, s), from, output_address(out), to, split, weight.itemsize(),
               s);
  return out;
}

bool convolve_forward(const array& in, const array& weight, array& out, const ConvParams& params,
                      const Stream& s) {
  if (params.flip || !fits(in.shape(), weight.shape(), out.shape(), params.stride,
                           params.padding_lo, params.kernel_dilation)) {
    return false;
  }
  array x = contiguous(in, s), w = contiguous(weight, s);
  LibraryConv conv = conv_of(LibraryConv::y_result, in.dtype(), params.stride, params.padding_lo,
                             params.kernel_dilation);
  conv.x = tensor_of(x.shape(), input_address(x, s));
  conv.w = tensor_of(w.shape(), input_address(w, s));
  conv.y = tensor_of(out.shape(), output_address(out));
  return run_by_library(conv, s);
}

/** The way back to the input of a convolution with this result. */
bool convolve_back(const array& in, const array& weight, array& out, const ConvParams& params,
                   const Stream& s) {
  std::vector<int> padding;
  for (size_t i = 0; i < params.stride.size(); i++) {
    int64_t reach = int64_t{weight.shape()[i + 1] - 1} * params.kernel_dilation[i];
    padding.push_back(static_cast<int>(reach - params.padding_lo[i]));
  }
  if (!params.flip || !are_all(params.stride, 1) ||
      !fits(out.shape(), weight.shape(), in.shape(), params.input_dilation, padding,
            params.kernel_dilation)) {
    return false;
  }
  array y = contiguous(in, s), w = swap_channels(weight, params.groups, s);
  LibraryConv conv = conv_of(LibraryConv::x_result, in.dtype(), params.input_dilation, padding,
                             params.kernel_dilation);
  conv.x = tensor_of(out.shape(), output_address(out));
  conv.w = tensor_of(w.shape(), input_address(w, s));
  conv.y = tensor_of(y.shape(), input_address(y, s));
  return run_by_library(conv, s);
}

}  // namespace

bool convolve_by_library(const array& in, const array& weight, array& out, const ConvParams& params,
                         const Stream& s) {
  if (!is_suited(in.dtype(), in.shape(-1), out.shape(-1), params.groups)) {
    return false;
  }
  return are_all(params.input_dilation, 1) && !params.flip
             ? convolve_forward(in, weight, out, params, s)
             : convolve_back(in, weight, out, params, s);
}

bool differentiate_by_library(const array& in, const array& cotangent, array& out,
                              const ConvParams& params, const Stream& s) {
  if (!is_suited(in.dtype(), in.shape(-1), cotangent.shape(-1), params.groups) || params.flip ||
      !are_all(params.input_dilation, 1) ||
      !fits(in.shape(), out.shape(), cotangent.shape(), params.stride, params.padding_lo,
            params.kernel_dilation)) {
    return false;
  }
  array x = contiguous(in, s), y = contiguous(cotangent, s);
  LibraryConv conv = conv_of(LibraryConv::w_result, in.dtype(), params.stride, params.padding_lo,
                             params.kernel_dilation);
  conv.x = tensor_of(x.shape(), input_address(x, s));
  conv.w = tensor_of(out.shape(), output_address(out));
  conv.y = tensor_of(y.shape(), input_address(y, s));
  return run_by_library(conv, s);
}

}  // namespace mlx::core::cuda
