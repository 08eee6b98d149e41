// How transforms see convolutions. The derivative for the input is a convolution of the cotangent
// with the flipped weight, where stride and input dilation change places.
#include "mlx/primitives/conv.h"

#include <limits>

#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

int64_t spread(int64_t extent, int dilation) {
  return extent > 0 ? (extent - 1) * dilation + 1 : 0;
}

array convolution(const array& input, const array& weight, const ConvParams& params, Stream s) {
  return array(Convolution::output_shape(input.shape(), weight.shape(), params), input.dtype(),
               std::make_shared<Convolution>(s, params), {input, weight});
}

/** (groups * a, spatial..., b) to (groups * b, spatial..., a). */
array swap_channels(const array& weight, int groups, Stream s) {
  if (groups == 1) {
    return swapaxes(weight, 0, -1, s);
  }
  array split = unflatten(weight, 0, {groups, weight.shape(0) / groups}, s);
  return flatten(swapaxes(split, 1, -1, s), 0, 1, s);
}

/** What `cotangent` of the output is for an input of the given shape. */
array input_gradient(const array& cotangent, const array& weight, const Shape& input,
                     const ConvParams& params, Stream s) {
  ConvParams back = params;
  back.flip = !params.flip;
  back.stride = params.input_dilation;
  back.input_dilation = params.stride;
  for (size_t i = 0; i < params.stride.size(); i++) {
    int64_t kernel = spread(weight.shape(i + 1), params.kernel_dilation[i]);
    int64_t dilated_cotangent = spread(cotangent.shape(i + 1), params.stride[i]);
    int64_t lo = kernel - 1 - params.padding_lo[i];
    int64_t wanted = spread(input[i + 1], params.input_dilation[i]) - 1 + kernel;
    back.padding_lo[i] = static_cast<int>(lo);
    back.padding_hi[i] = static_cast<int>(wanted - dilated_cotangent - lo);
  }
  return convolution(cotangent, swap_channels(weight, params.groups, s), back, s);
}

array weight_gradient(const array& input, const array& cotangent, const Shape& kernel,
                      const ConvParams& params, Stream s) {
  auto primitive = std::make_shared<ConvolutionWeightGradient>(s, params, kernel);
  Shape shape = primitive->output_shapes({input, cotangent})[0];
  return array(std::move(shape), input.dtype(), std::move(primitive), {input, cotangent});
}

Shape kernel_of(const Shape& weight) { return Shape(weight.begin() + 1, weight.end() - 1); }

array sum_of(const std::vector<array>& terms, Stream s) {
  return terms.size() == 1 ? terms[0] : add(terms[0], terms[1], s);
}

/** `in` with `count` copies along a new first axis, or its mapped axis moved there. */
array mapped_first(const array& in, int axis, int count, Stream s) {
  if (axis >= 0) {
    return moveaxis(in, axis, 0, s);
  }
  Shape shape = in.shape();
  shape.insert(shape.begin(), count);
  return broadcast_to(in, shape, s);
}

/** (batch, n, spatial..., c) to (n, spatial..., batch * c): each example is a group of channels. */
array batch_into_channels(const array& in, Stream s) {
  return flatten(moveaxis(in, 0, -2, s), -2, -1, s);
}

}  // namespace

Shape Convolution::output_shape(const Shape& input, const Shape& weight, const ConvParams& params) {
  Shape out = input;
  out.back() = weight[0];
  for (size_t i = 0; i < params.stride.size(); i++) {
    int64_t kernel = spread(weight[i + 1], params.kernel_dilation[i]);
    int64_t padded = spread(input[i + 1], params.input_dilation[i]) + params.padding_lo[i] +
                     params.padding_hi[i];
    check(kernel > 0 && padded >= kernel, "conv",
          "Spatial dimensions of the input after padding cannot be smaller than those of the "
          "weight. At axis ",
          i + 1, " the input with shape ", input, " has ", padded, " and the weight with shape ",
          weight, " has ", kernel, ".");
    int64_t extent = (padded - kernel) / params.stride[i] + 1;
    check(extent <= std::numeric_limits<ShapeElem>::max(), "conv",
          "The output is too large at axis ", i + 1, " for an input with shape ", input,
          " and a weight with shape ", weight, ".");
    out[i + 1] = static_cast<ShapeElem>(extent);
  }
  return out;
}

std::vector<Shape> Convolution::output_shapes(const std::vector<array>& inputs) {
  return {output_shape(inputs[0].shape(), inputs[1].shape(), params_)};
}

std::vector<array> Convolution::jvp(const std::vector<array>& primals,
                                    const std::vector<array>& tangents,
                                    const std::vector<int>& argnums) {
  std::vector<array> terms;
  for (size_t i = 0; i < argnums.size(); i++) {
    terms.push_back(argnums[i] == 0 ? convolution(tangents[i], primals[1], params_, stream())
                                    : convolution(primals[0], tangents[i], params_, stream()));
  }
  return {sum_of(terms, stream())};
}

std::vector<array> Convolution::vjp(const std::vector<array>& primals,
                                    const std::vector<array>& cotangents,
                                    const std::vector<int>& argnums, const std::vector<array>&) {
  std::vector<array> gradients;
  for (int argnum : argnums) {
    gradients.push_back(
        argnum == 0
            ? input_gradient(cotangents[0], primals[1], primals[0].shape(), params_, stream())
            : weight_gradient(primals[0], cotangents[0], kernel_of(primals[1].shape()), params_,
                              stream()));
  }
  return gradients;
}

std::pair<std::vector<array>, std::vector<int>> Convolution::vmap(const std::vector<array>& inputs,
                                                                  const std::vector<int>& axes) {
  if (axes[1] < 0) {
    // More images: the mapped axis joins n.
    array in = moveaxis(inputs[0], axes[0], 0, stream());
    array out = convolution(flatten(in, 0, 1, stream()), inputs[1], params_, stream());
    return {{unflatten(out, 0, {in.shape(0), in.shape(1)}, stream())}, {0}};
  }
  array weight = moveaxis(inputs[1], axes[1], 0, stream());
  int count = weight.shape(0);
  ConvParams params = params_;
  array in = inputs[0];
  if (axes[0] >= 0 || params.groups > 1) {
    // Each example gets its own groups.
    in = batch_into_channels(mapped_first(in, axes[0], count, stream()), stream());
    params.groups *= count;
  }
  array out = convolution(in, flatten(weight, 0, 1, stream()), params, stream());
  array split = unflatten(out, -1, {count, weight.shape(1)}, stream());
  return {{split}, {static_cast<int>(split.ndim()) - 2}};
}

array ConvolutionWeightGradient::node(const array& input, const array& cotangent,
                                      int groups) const {
  ConvParams params = params_;
  params.groups = groups;
  return weight_gradient(input, cotangent, kernel_, params, stream());
}

std::vector<Shape> ConvolutionWeightGradient::output_shapes(const std::vector<array>& inputs) {
  Shape out = kernel_;
  out.insert(out.begin(), inputs[1].shape(-1));
  out.push_back(inputs[0].shape(-1) / params_.groups);
  return {out};
}

std::vector<array> ConvolutionWeightGradient::jvp(const std::vector<array>& primals,
                                                  const std::vector<array>& tangents,
                                                  const std::vector<int>& argnums) {
  std::vector<array> terms;
  for (size_t i = 0; i < argnums.size(); i++) {
    terms.push_back(argnums[i] == 0 ? node(tangents[i], primals[1], params_.groups)
                                    : node(primals[0], tangents[i], params_.groups));
  }
  return {sum_of(terms, stream())};
}

std::vector<array> ConvolutionWeightGradient::vjp(const std::vector<array>& primals,
                                                  const std::vector<array>& cotangents,
                                                  const std::vector<int>& argnums,
                                                  const std::vector<array>&) {
  // The output is linear in both inputs, and its cotangent has the shape of a weight.
  std::vector<array> gradients;
  for (int argnum : argnums) {
    gradients.push_back(argnum == 0 ? input_gradient(primals[1], cotangents[0], primals[0].shape(),
                                                     params_, stream())
                                    : convolution(primals[0], cotangents[0], params_, stream()));
  }
  return gradients;
}

std::pair<std::vector<array>, std::vector<int>> ConvolutionWeightGradient::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  int count = axes[0] >= 0 ? inputs[0].shape(axes[0]) : inputs[1].shape(axes[1]);
  array in = mapped_first(inputs[0], axes[0], count, stream());
  array cotangent = mapped_first(inputs[1], axes[1], count, stream());
  array out = node(batch_into_channels(in, stream()), batch_into_channels(cotangent, stream()),
                   params_.groups * count);
  return {{unflatten(out, 0, {count, cotangent.shape(-1)}, stream())}, {0}};
}

}  // namespace mlx::core
