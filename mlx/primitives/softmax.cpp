// Derivatives and batching of softmax.
#include "mlx/primitives/softmax.h"

#include <numeric>

#include "mlx/ops.h"

namespace mlx::core {

namespace {

array apply_jacobian(const array& y, const array& d, int first, int last, Stream s) {
  std::vector<int> axes(last - first + 1);
  std::iota(axes.begin(), axes.end(), first);
  array weighted = multiply(d, y, s);
  return subtract(weighted, multiply(y, sum(weighted, axes, true, s), s), s);
}

/** The same as one node where the axes are the last ones. */
array through_jacobian(const array& y, const array& d, int first, int last, Stream s) {
  if (last != static_cast<int>(y.ndim()) - 1) {
    return apply_jacobian(y, d, first, last, s);
  }
  auto node = std::make_shared<SoftmaxJacobian>(s, last - first + 1);
  return array(y.shape(), y.dtype(), node, {y, d});
}

}  // namespace

std::vector<array> Softmax::vjp(const std::vector<array>&, const std::vector<array>& cotangents,
                                const std::vector<int>&, const std::vector<array>& outputs) {
  return {through_jacobian(outputs[0], cotangents[0], first_, last_, stream())};
}

std::vector<array> Softmax::jvp(const std::vector<array>& primals,
                                const std::vector<array>& tangents, const std::vector<int>&) {
  const array& x = primals[0];
  array y(x.shape(), x.dtype(), std::make_shared<Softmax>(stream(), first_, last_), {x});
  return {through_jacobian(y, tangents[0], first_, last_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> Softmax::vmap(const std::vector<array>& inputs,
                                                              const std::vector<int>& axes) {
  const array& x = inputs[0];
  int batch = axes[0];
  bool splits_axes = batch > first_ && batch <= last_;
  array moved = splits_axes ? moveaxis(x, batch, 0, stream()) : x;
  batch = splits_axes ? 0 : batch;
  int shift = batch <= first_;
  array y(moved.shape(), moved.dtype(),
          std::make_shared<Softmax>(stream(), first_ + shift, last_ + shift), {moved});
  return {{y}, {batch}};
}

std::vector<array> SoftmaxJacobian::fallback(const std::vector<array>& inputs) const {
  int last = static_cast<int>(inputs[0].ndim()) - 1;
  return {apply_jacobian(inputs[0], inputs[1], last - count_ + 1, last, stream())};
}

}  // namespace mlx::core
