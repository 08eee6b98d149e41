// Derivatives and batching of reads and writes under a mask: one is the transpose of the other.
#include "mlx/primitives/mask.h"

#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

array MaskedSelect::apply(const array& a, const array& mask) const {
  Shape shape{count_};
  shape.insert(shape.end(), a.shape().begin() + static_cast<int64_t>(mask.ndim()), a.shape().end());
  return array(shape, a.dtype(), std::make_shared<MaskedSelect>(stream(), count_), {a, mask});
}

std::vector<Shape> MaskedSelect::output_shapes(const std::vector<array>& inputs) {
  return {apply(inputs[0], inputs[1]).shape()};
}

std::vector<array> MaskedSelect::jvp(const std::vector<array>& primals,
                                     const std::vector<array>& tangents, const std::vector<int>&) {
  return {apply(tangents[0], primals[1])};
}

std::vector<array> MaskedSelect::vjp(const std::vector<array>& primals,
                                     const std::vector<array>& cotangents, const std::vector<int>&,
                                     const std::vector<array>&) {
  auto s = stream();
  return {array(primals[0].shape(), primals[0].dtype(), std::make_shared<MaskedScatter>(s),
                {zeros_like(primals[0], s), primals[1], flatten(cotangents[0], s)})};
}

std::pair<std::vector<array>, std::vector<int>> MaskedSelect::vmap(const std::vector<array>& inputs,
                                                                   const std::vector<int>& axes) {
  check(axes[1] < 0, "index", "A mask that differs between the elements of a vmap selects ",
        "differently many; use where.");
  int axis = static_cast<int>(inputs[1].ndim());
  return {{apply(moveaxis(inputs[0], axes[0], axis, stream()), inputs[1])}, {1}};
}

std::vector<array> MaskedScatter::fallback(const std::vector<array>& inputs) const {
  auto s = stream();
  const array &a = inputs[0], &values = inputs[2];
  Shape spread = inputs[1].shape();
  spread.insert(spread.end(), a.ndim() - inputs[1].ndim(), 1);
  array mask = broadcast_to(reshape(inputs[1], spread, s), a.shape(), s);
  // Each true element takes the value whose number is that of the true elements before it. Without
  // values the first true element asks for one past the end, which is an error.
  bool none = values.size() == 0;
  Dtype counter = a.size() > INT32_MAX ? int64 : int32;
  array flat_mask = flatten(mask, s);
  array number = cumsum(astype(flat_mask, counter, s), 0, false, true, std::nullopt, s);
  number = none ? number : subtract(number, array(1, counter), s);
  number = where(flat_mask, number, array(0, counter), s);
  array taken = take(none ? zeros({1}, a.dtype(), s) : values, number, 0, s);
  return {where(mask, reshape(taken, a.shape(), s), a, s)};
}

}  // namespace mlx::core
