// Batch normalisation from plain ops, and its derivative as another node.
#include "mlx/primitives/batch_norm.h"

#include <numeric>

#include "mlx/ops.h"

namespace mlx::core {

namespace {

std::vector<int> leading_axes(const array& x) {
  std::vector<int> axes(x.ndim() - 1);
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

array inverse_deviation(const array& variance, float eps, Stream s) {
  return rsqrt(add(variance, array(eps, variance.dtype()), s), s);
}

}  // namespace

std::vector<Shape> BatchNorm::output_shapes(const std::vector<array>& inputs) {
  return {inputs[0].shape(), inputs[1].shape(), inputs[1].shape()};
}

std::vector<array> BatchNorm::fallback(const std::vector<array>& inputs) const {
  auto s = stream();
  const array& x = inputs[0];
  array mean = core::mean(x, leading_axes(x), false, s);
  array variance = var(x, leading_axes(x), false, 0, s);
  array normal = multiply(subtract(x, mean, s), inverse_deviation(variance, eps_, s), s);
  return {add(multiply(normal, inputs[1], s), inputs[2], s), mean, variance};
}

std::vector<array> BatchNorm::vjp(const std::vector<array>& primals,
                                  const std::vector<array>& cotangents,
                                  const std::vector<int>& argnums,
                                  const std::vector<array>& outputs) {
  auto node = std::make_shared<BatchNormBackward>(stream(), eps_);
  std::vector<array> inputs{primals[0],    primals[1],    outputs[1],   outputs[2],
                            cotangents[0], cotangents[1], cotangents[2]};
  auto all = array::make_arrays(node->output_shapes(inputs),
                                std::vector<Dtype>(3, primals[0].dtype()), node, inputs);
  std::vector<array> gradients;
  for (int argnum : argnums) gradients.push_back(all[argnum]);
  return gradients;
}

std::vector<Shape> BatchNormBackward::output_shapes(const std::vector<array>& inputs) {
  return {inputs[0].shape(), inputs[1].shape(), inputs[1].shape()};
}

std::vector<array> BatchNormBackward::fallback(const std::vector<array>& inputs) const {
  auto s = stream();
  const array &x = inputs[0], &weight = inputs[1], &cotangent = inputs[4];
  std::vector<int> axes = leading_axes(x);
  array centred = subtract(x, inputs[2], s), inverse = inverse_deviation(inputs[3], eps_, s);
  array bias_gradient = sum(cotangent, axes, false, s);
  array products = sum(multiply(cotangent, centred, s), axes, false, s);
  array weight_gradient = multiply(products, inverse, s);
  // What statistics pass on to each element: a constant, and a multiple of its distance to the
  // mean.
  double count = static_cast<double>(x.size()) / std::max(x.shape(-1), 1);
  array share(1 / std::max(count, 1.0), x.dtype()), two(2, x.dtype());
  array scale = multiply(weight, inverse, s);
  array shift = multiply(subtract(inputs[5], multiply(scale, bias_gradient, s), s), share, s);
  array through_deviation = multiply(multiply(scale, square(inverse, s), s), products, s);
  array slope = multiply(subtract(multiply(inputs[6], two, s), through_deviation, s), share, s);
  array through_statistics = add(multiply(centred, slope, s), shift, s);
  return {add(multiply(cotangent, scale, s), through_statistics, s), weight_gradient,
          bias_gradient};
}

}  // namespace mlx::core
