// Shapes, dtypes and derivatives of the reductions.
#include "mlx/primitives/reduce.h"

#include <algorithm>

#include "mlx/core/axes.h"
#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

struct ReduceInfo {
  const char* name;
  bool linear;
};

constexpr ReduceInfo infos[] = {
    {"Sum", true},  {"Prod", false}, {"Max", false}, {"Min", false},       {"All", false},
    {"Any", false}, {"Mean", true},  {"Var", false}, {"LogSumExp", false},
};

double count_of(const array& x, const std::vector<int>& axes) {
  double count = 1;
  for (int axis : axes) count *= x.shape(axis);
  return count;
}

/** For each element the product of all others along `axes`, right also where some are zero. */
array product_of_others(const array& x, const std::vector<int>& axes, Stream s) {
  int ndim = static_cast<int>(x.ndim());
  if (axes.size() == 1) {
    return multiply(cumprod(x, axes[0], false, false, std::nullopt, s),
                    cumprod(x, axes[0], true, false, std::nullopt, s), s);
  }
  if (axes.empty()) {
    return ones_like(x, s);
  }
  detail::AxisOrder order(ndim, axes);
  array moved = transpose(x, order.forward, s);
  array flat = flatten(moved, ndim - static_cast<int>(axes.size()), -1, s);
  array others = product_of_others(flat, {static_cast<int>(flat.ndim()) - 1}, s);
  return transpose(reshape(others, moved.shape(), s), order.backward, s);
}

/** Axes of the batched array that match `axes` of the unbatched one. */
std::vector<int> shifted(std::vector<int> axes, int batch) {
  for (int& axis : axes) axis += axis >= batch;
  return axes;
}

int reduced_batch_axis(const std::vector<int>& axes, bool keepdims, int batch) {
  if (keepdims) {
    return batch;
  }
  return batch - static_cast<int>(std::lower_bound(axes.begin(), axes.end(), batch) - axes.begin());
}

}  // namespace

Dtype reduce_result_type(ReduceOp op, Dtype in) {
  switch (op) {
    case ReduceOp::Sum:
    case ReduceOp::Prod:
      if (in == bool_ || (issubdtype(in, signedinteger) && in.size() < 4)) return int32;
      return issubdtype(in, unsignedinteger) && in.size() < 4 ? uint32 : in;
    case ReduceOp::All:
    case ReduceOp::Any:
      return bool_;
    default:
      return in;
  }
}

Shape reduced_shape(const Shape& shape, const std::vector<int>& axes, bool keepdims) {
  Shape out;
  for (int i = 0; i < static_cast<int>(shape.size()); i++) {
    bool is_reduced = std::binary_search(axes.begin(), axes.end(), i);
    if (!is_reduced) {
      out.push_back(shape[i]);
    } else if (keepdims) {
      out.push_back(1);
    }
  }
  return out;
}

const char* Reduce::name() const { return infos[static_cast<int>(op_)].name; }

array Reduce::with_axes(const array& reduced) const {
  return keepdims_ ? reduced : expand_dims(reduced, axes_, stream());
}

array Reduce::derivative(const array& x, const array& out) const {
  auto s = stream();
  auto scalar = [&](double value) { return array(value, x.dtype()); };
  switch (op_) {
    case ReduceOp::Sum:
      return ones_like(x, s);
    case ReduceOp::Mean:
      return full_like(x, scalar(1.0 / count_of(x, axes_)), s);
    case ReduceOp::Prod:
      return product_of_others(x, axes_, s);
    case ReduceOp::Max:
    case ReduceOp::Min: {  // ties share
      array is_best = astype(equal(x, with_axes(out), s), x.dtype(), s);
      return divide(is_best, sum(is_best, axes_, true, s), s);
    }
    case ReduceOp::Var: {
      array centred = subtract(x, mean(x, axes_, true, s), s);
      return multiply(centred, scalar(2.0 / std::max(count_of(x, axes_) - ddof_, 0.0)), s);
    }
    case ReduceOp::LogSumExp:  // exp(x - out) would lose digits where both are large
      return softmax(x, axes_, true, s);
    case ReduceOp::All:
    case ReduceOp::Any:
      return zeros_like(x, s);
  }
  __builtin_unreachable();
}

std::vector<array> Reduce::vjp(const std::vector<array>& primals,
                               const std::vector<array>& cotangents, const std::vector<int>&,
                               const std::vector<array>& outputs) {
  const array& x = primals[0];
  if (op_ == ReduceOp::All || op_ == ReduceOp::Any) {
    return {zeros_like(x, stream())};
  }
  array cotangent = with_axes(cotangents[0]);
  if (op_ == ReduceOp::Mean) {
    cotangent = multiply(cotangent, array(1.0 / count_of(x, axes_), x.dtype()), stream());
  }
  if (infos[static_cast<int>(op_)].linear) {
    return {broadcast_to(cotangent, x.shape(), stream())};
  }
  array factor = derivative(x, outputs[0]);
  bool holomorphic = op_ == ReduceOp::Prod || op_ == ReduceOp::LogSumExp;
  if (holomorphic && is_complex_dtype(x.dtype())) {  // the adjoint over the reals
    factor = conjugate(factor, stream());
  }
  return {multiply(cotangent, factor, stream())};
}

std::vector<array> Reduce::jvp(const std::vector<array>& primals,
                               const std::vector<array>& tangents, const std::vector<int>&) {
  auto s = stream();
  auto apply = [&](const array& x) {
    return array(reduced_shape(x.shape(), axes_, keepdims_), reduce_result_type(op_, x.dtype()),
                 std::make_shared<Reduce>(s, op_, axes_, keepdims_, ddof_), {x});
  };
  if (infos[static_cast<int>(op_)].linear) {
    return {apply(tangents[0])};
  }
  array out = apply(primals[0]);
  if (op_ == ReduceOp::All || op_ == ReduceOp::Any) {
    return {zeros_like(out, s)};
  }
  return {sum(multiply(tangents[0], derivative(primals[0], out), s), axes_, keepdims_, s)};
}

std::pair<std::vector<array>, std::vector<int>> Reduce::vmap(const std::vector<array>& inputs,
                                                             const std::vector<int>& axes) {
  const array& x = inputs[0];
  auto reduce_axes = shifted(axes_, axes[0]);
  array out(reduced_shape(x.shape(), reduce_axes, keepdims_), reduce_result_type(op_, x.dtype()),
            std::make_shared<Reduce>(stream(), op_, reduce_axes, keepdims_, ddof_), {x});
  return {{out}, {reduced_batch_axis(reduce_axes, keepdims_, axes[0])}};
}

std::vector<Shape> Reduce::output_shapes(const std::vector<array>& inputs) {
  return {reduced_shape(inputs[0].shape(), axes_, keepdims_)};
}

std::vector<array> ArgReduce::vjp(const std::vector<array>& primals, const std::vector<array>&,
                                  const std::vector<int>&, const std::vector<array>&) {
  return {zeros_like(primals[0], stream())};
}

std::vector<array> ArgReduce::jvp(const std::vector<array>& primals, const std::vector<array>&,
                                  const std::vector<int>&) {
  return {zeros(output_shapes(primals)[0], uint32, stream())};
}

std::pair<std::vector<array>, std::vector<int>> ArgReduce::vmap(const std::vector<array>& inputs,
                                                                const std::vector<int>& axes) {
  int axis = axis_ + (axis_ >= axes[0]);
  array out(reduced_shape(inputs[0].shape(), {axis}, keepdims_), uint32,
            std::make_shared<ArgReduce>(stream(), kind_, axis, keepdims_), {inputs[0]});
  return {{out}, {reduced_batch_axis({axis}, keepdims_, axes[0])}};
}

std::vector<Shape> ArgReduce::output_shapes(const std::vector<array>& inputs) {
  return {reduced_shape(inputs[0].shape(), {axis_}, keepdims_)};
}

}  // namespace mlx::core
