// What all element-wise nodes share: transforms by way of the one derivative rule per op, and
// implicit broadcasting under vmap.
#include "mlx/primitives/elementwise.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include "mlx/core/errors.h"
#include "mlx/core/object_pool.h"
#include "mlx/ops.h"
#include "mlx/primitives/elementwise_rules.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace detail {

namespace {

[[noreturn]] void fail_to_broadcast(ElementwiseOp op, const std::vector<array>& inputs) {
  std::ostringstream operands;
  for (const array& in : inputs) {
    operands << (&in == &inputs.front() ? "" : ", ") << in.dtype() << in.shape();
  }
  fail(elementwise_info(op).function, "Shapes cannot be broadcast: ", operands.str(), ".");
}

Shape common_shape(ElementwiseOp op, const std::vector<array>& inputs) {
  Shape shape = inputs[0].shape();
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i].shape() == shape) continue;
    try {
      shape = broadcast_shapes(shape, inputs[i].shape());
    } catch (const std::invalid_argument&) {
      fail_to_broadcast(op, inputs);
    }
  }
  return shape;
}

}  // namespace

array elementwise(ElementwiseOp op, std::vector<array> inputs, Stream s) {
  Dtype result = elementwise_result_type(op, inputs.back().dtype());
  Shape shape = common_shape(op, inputs);
  return array(std::move(shape), result, make_pooled<Elementwise>(s, op, result),
               std::move(inputs));
}

array cast(const array& a, Dtype to, Stream s) {
  return array(a.shape(), to, make_pooled<Elementwise>(s, ElementwiseOp::Cast, to), {a});
}

array sum_to_shape(const array& a, const Shape& shape, Stream s) {
  if (a.shape() == shape) return a;
  int missing = static_cast<int>(a.ndim()) - static_cast<int>(shape.size());
  std::vector<int> axes;
  for (int i = 0; i < static_cast<int>(a.ndim()); ++i) {
    if (i < missing || (shape[i - missing] == 1 && a.shape(i) != 1)) axes.push_back(i);
  }
  array summed = axes.empty() ? a : sum(a, axes, /* keepdims */ true, s);
  return summed.shape() == shape ? summed : reshape(summed, shape, s);
}

}  // namespace detail

std::vector<Shape> Elementwise::output_shapes(const std::vector<array>& inputs) {
  return {detail::common_shape(op_, inputs)};
}

std::vector<array> Elementwise::jvp(const std::vector<array>& primals,
                                    const std::vector<array>& tangents,
                                    const std::vector<int>& argnums) {
  StreamContext context(stream());
  array out(detail::common_shape(op_, primals), result_,
            make_pooled<Elementwise>(stream(), op_, result_), primals);
  std::optional<array> total;
  for (size_t k = 0; k < argnums.size(); ++k) {
    auto part = elementwise_rule(op_, Direction::forward, argnums[k], tangents[k], primals, out);
    if (part) total = total ? add(*total, *part) : *part;
  }
  if (!total) return {zeros(out.shape(), result_ == bool_ ? float32 : result_)};
  return {total->shape() == out.shape() ? *total : broadcast_to(*total, out.shape())};
}

std::vector<array> Elementwise::vjp(const std::vector<array>& primals,
                                    const std::vector<array>& cotangents,
                                    const std::vector<int>& argnums,
                                    const std::vector<array>& outputs) {
  StreamContext context(stream());
  std::vector<array> grads;
  for (int i : argnums) {
    auto full = elementwise_rule(op_, Direction::backward, i, cotangents[0], primals, outputs[0]);
    grads.push_back(full ? detail::sum_to_shape(*full, primals[i].shape(), stream())
                         : zeros(primals[i].shape(), primals[i].dtype()));
  }
  return grads;
}

std::pair<std::vector<array>, std::vector<int>> Elementwise::vmap(const std::vector<array>& inputs,
                                                                  const std::vector<int>& axes) {
  int rank = 0;  // of the unbatched result
  for (size_t i = 0; i < inputs.size(); ++i) {
    rank = std::max(rank, static_cast<int>(inputs[i].ndim()) - (axes[i] >= 0 ? 1 : 0));
  }
  std::vector<array> moved;
  for (size_t i = 0; i < inputs.size(); ++i) {
    array x = inputs[i];
    if (axes[i] >= 0) {
      if (axes[i] > 0) x = moveaxis(x, axes[i], 0, stream());
      int missing = rank + 1 - static_cast<int>(x.ndim());
      if (missing > 0) {
        Shape shape = x.shape();
        shape.insert(shape.begin() + 1, missing, 1);
        x = reshape(x, std::move(shape), stream());
      }
    }
    moved.push_back(std::move(x));
  }
  Shape shape = detail::common_shape(op_, moved);
  array out(std::move(shape), result_, make_pooled<Elementwise>(stream(), op_, result_),
            std::move(moved));
  return {{out}, {0}};
}

}  // namespace mlx::core
