// Derivatives and batching of communication. Members are taken to compute one loss together: the
// cotangent of what they all have is the same everywhere, so none has to be exchanged for it.
#include "mlx/primitives/distributed.h"

#include "mlx/ops.h"

namespace mlx::core::distributed {

array AllReduce::apply(const array& x, ReduceSpec spec, Stream s) {
  return array(x.shape(), x.dtype(), std::make_shared<AllReduce>(s, std::move(spec)), {x});
}

array AllReduce::at_extreme(const array& values, const array& x, const array& extreme) const {
  auto s = stream();
  array here = astype(equal(x, extreme, s), values.dtype(), s);
  array count = apply(here, {spec_.group, detail::Reduction::Sum}, s);
  return divide(multiply(values, here, s), count, s);
}

std::vector<array> AllReduce::jvp(const std::vector<array>& primals,
                                  const std::vector<array>& tangents, const std::vector<int>&) {
  ReduceSpec sum{spec_.group, detail::Reduction::Sum};
  if (spec_.reduction == detail::Reduction::Sum) {
    return {apply(tangents[0], sum, stream())};
  }
  array extreme = apply(primals[0], spec_, stream());
  return {apply(at_extreme(tangents[0], primals[0], extreme), sum, stream())};
}

std::vector<array> AllReduce::vjp(const std::vector<array>& primals,
                                  const std::vector<array>& cotangents, const std::vector<int>&,
                                  const std::vector<array>& outputs) {
  return {spec_.reduction == detail::Reduction::Sum
              ? cotangents[0]
              : at_extreme(cotangents[0], primals[0], outputs[0])};
}

std::pair<std::vector<array>, std::vector<int>> AllReduce::vmap(const std::vector<array>& inputs,
                                                                const std::vector<int>& axes) {
  return {{apply(inputs[0], spec_, stream())}, axes};
}

std::vector<array> RowExchange::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                                    const std::vector<int>&) {
  return {again(tangents[0])};
}

std::pair<std::vector<array>, std::vector<int>> RowExchange::vmap(const std::vector<array>& inputs,
                                                                  const std::vector<int>& axes) {
  if (axes[0] == 0) {  // rows are the first axis of an example
    return {{again(moveaxis(inputs[0], 0, 1, stream()))}, {1}};
  }
  return {{again(inputs[0])}, axes};
}

array AllGather::apply(const array& x, GroupPointer group, Stream s) {
  auto node = std::make_shared<AllGather>(s, std::move(group));
  return array(node->output_shapes({x})[0], x.dtype(), node, {x});
}

std::vector<array> AllGather::vjp(const std::vector<array>& primals,
                                  const std::vector<array>& cotangents, const std::vector<int>&,
                                  const std::vector<array>&) {
  const Shape& shape = primals[0].shape();
  Shape start(shape.size(), 0), stop = shape;
  start[0] = group_->rank() * shape[0];
  stop[0] += start[0];
  return {slice(cotangents[0], start, stop, stream())};
}

std::vector<Shape> AllGather::output_shapes(const std::vector<array>& inputs) {
  Shape shape = inputs[0].shape();
  shape[0] *= group_->size();
  return {shape};
}

array SumScatter::apply(const array& x, GroupPointer group, Stream s) {
  auto node = std::make_shared<SumScatter>(s, std::move(group));
  return array(node->output_shapes({x})[0], x.dtype(), node, {x});
}

std::vector<array> SumScatter::vjp(const std::vector<array>&, const std::vector<array>& cotangents,
                                   const std::vector<int>&, const std::vector<array>&) {
  return {AllGather::apply(cotangents[0], group_, stream())};
}

std::vector<Shape> SumScatter::output_shapes(const std::vector<array>& inputs) {
  Shape shape = inputs[0].shape();
  shape[0] /= group_->size();
  return {shape};
}

std::vector<array> Send::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                             const std::vector<int>&) {
  return tangents;
}

std::vector<array> Send::vjp(const std::vector<array>&, const std::vector<array>& cotangents,
                             const std::vector<int>&, const std::vector<array>&) {
  return cotangents;
}

std::pair<std::vector<array>, std::vector<int>> Send::vmap(const std::vector<array>& inputs,
                                                           const std::vector<int>& axes) {
  auto node = std::make_shared<Send>(stream(), group_, peer_);
  return {{array(inputs[0].shape(), inputs[0].dtype(), std::move(node), inputs)}, axes};
}

}  // namespace mlx::core::distributed
