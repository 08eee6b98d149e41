// How transforms see matrix products.
#include "mlx/primitives/matmul.h"

#include <algorithm>
#include <limits>

#include "mlx/ops.h"
#include "mlx/primitives/broadcast.h"
#include "mlx/primitives/transpose.h"

namespace mlx::core {

Shape matmul_shape(const Shape& a, const Shape& b) {
  Shape out = broadcast_shapes(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  out.push_back(a[a.size() - 2]);
  out.push_back(b[b.size() - 1]);
  return out;
}

array adjoint(const array& x, Stream s) {
  array t = swapaxes(x, -1, -2, s);
  return is_complex_dtype(x.dtype()) ? conjugate(t, s) : t;
}

array align_mapped(const array& in, int axis, int ndim, Stream s) {
  if (axis < 0) {
    return in;
  }
  array out = axis == 0 ? in : moveaxis(in, axis, 0, s);
  int missing = ndim - (static_cast<int>(out.ndim()) - 1);
  if (missing == 0) {
    return out;
  }
  std::vector<int> ones(missing);
  for (int i = 0; i < missing; i++) {
    ones[i] = i + 1;
  }
  return expand_dims(out, ones, s);
}

namespace {

/** Whether a batch on the left only makes more rows for one matrix on the right. */
bool is_one_product(const array& a, const array& b) {
  constexpr size_t most = std::numeric_limits<ShapeElem>::max();
  return b.ndim() == 2 && a.ndim() > 2 &&
         num_elements(Shape(a.shape().begin(), a.shape().end() - 1)) <= most;
}

/** Whether a matrix is the transpose of one with rows of neighbours, as in `x @ w.T`. */
bool is_transpose(const array& x) {
  if (!x.has_primitive() || typeid(x.primitive()) != typeid(Transpose)) {
    return false;
  }
  auto& axes = static_cast<const Transpose&>(x.primitive()).axes();
  int last = static_cast<int>(axes.size()) - 1;
  return last >= 1 && axes[last] == last - 1 && axes[last - 1] == last;
}

/** The gradient of a product for its right operand, in the order in which that lies in memory. */
array right_gradient(const array& a, const array& b, const array& cotangent, Stream s) {
  if (!is_transpose(b)) {
    return matmul(adjoint(a, s), cotangent, s);
  }
  array plain = is_complex_dtype(a.dtype()) ? conjugate(a, s) : a;
  return swapaxes(matmul(swapaxes(cotangent, -1, -2, s), plain, s), -1, -2, s);
}

/** The gradient of a product for operand `argnum` (0 or 1). */
array operand_gradient(const array& a, const array& b, const array& cotangent, int argnum,
                       Stream s) {
  if (argnum == 1 && is_one_product(a, b)) {  // the sum over the batch is part of the product
    return right_gradient(flatten(a, 0, -2, s), b, flatten(cotangent, 0, -2, s), s);
  }
  array gradient =
      argnum == 0 ? matmul(cotangent, adjoint(b, s), s) : right_gradient(a, b, cotangent, s);
  return sum_to_shape(gradient, argnum == 0 ? a.shape() : b.shape(), s);
}

array scaled(const array& x, float factor, Stream s) {
  return factor == 1.0f ? x : multiply(x, array(factor, x.dtype()), s);
}

/** Axes of an example, the mapped one left out. */
int example_ndim(const array& in, int axis) { return static_cast<int>(in.ndim()) - (axis >= 0); }

}  // namespace

std::vector<Shape> Matmul::output_shapes(const std::vector<array>& inputs) {
  return {matmul_shape(inputs[0].shape(), inputs[1].shape())};
}

std::vector<array> Matmul::jvp(const std::vector<array>& primals,
                               const std::vector<array>& tangents,
                               const std::vector<int>& argnums) {
  auto term = [&](size_t i) {
    return argnums[i] == 0 ? matmul(tangents[i], primals[1], stream())
                           : matmul(primals[0], tangents[i], stream());
  };
  return {argnums.size() == 1 ? term(0) : add(term(0), term(1), stream())};
}

std::vector<array> Matmul::vjp(const std::vector<array>& primals,
                               const std::vector<array>& cotangents,
                               const std::vector<int>& argnums, const std::vector<array>&) {
  std::vector<array> gradients;
  for (int argnum : argnums) {
    gradients.push_back(operand_gradient(primals[0], primals[1], cotangents[0], argnum, stream()));
  }
  return gradients;
}

std::pair<std::vector<array>, std::vector<int>> Matmul::vmap(const std::vector<array>& inputs,
                                                             const std::vector<int>& axes) {
  int ndim = std::max(example_ndim(inputs[0], axes[0]), example_ndim(inputs[1], axes[1]));
  array a = align_mapped(inputs[0], axes[0], ndim, stream());
  array b = align_mapped(inputs[1], axes[1], ndim, stream());
  return {{matmul(a, b, stream())}, {axes[0] < 0 && axes[1] < 0 ? -1 : 0}};
}

std::vector<Shape> AddMM::output_shapes(const std::vector<array>& inputs) {
  return {matmul_shape(inputs[0].shape(), inputs[1].shape())};
}

std::vector<array> AddMM::jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                              const std::vector<int>& argnums) {
  auto term = [&](size_t i) {
    if (argnums[i] == 2) {
      Shape shape = matmul_shape(primals[0].shape(), primals[1].shape());
      return broadcast_to(scaled(tangents[i], beta_, stream()), shape, stream());
    }
    array product = argnums[i] == 0 ? matmul(tangents[i], primals[1], stream())
                                    : matmul(primals[0], tangents[i], stream());
    return scaled(product, alpha_, stream());
  };
  array sum = term(0);
  for (size_t i = 1; i < argnums.size(); i++) {
    sum = add(sum, term(i), stream());
  }
  return {sum};
}

std::vector<array> AddMM::vjp(const std::vector<array>& primals,
                              const std::vector<array>& cotangents, const std::vector<int>& argnums,
                              const std::vector<array>&) {
  std::vector<array> gradients;
  for (int argnum : argnums) {
    if (argnum == 2) {
      gradients.push_back(
          scaled(sum_to_shape(cotangents[0], primals[2].shape(), stream()), beta_, stream()));
    } else {
      gradients.push_back(operand_gradient(
          primals[0], primals[1], scaled(cotangents[0], alpha_, stream()), argnum, stream()));
    }
  }
  return gradients;
}

std::pair<std::vector<array>, std::vector<int>> AddMM::vmap(const std::vector<array>& inputs,
                                                            const std::vector<int>& axes) {
  int ndim = 0;
  for (int i = 0; i < 3; i++) {
    ndim = std::max(ndim, example_ndim(inputs[i], axes[i]));
  }
  array a = align_mapped(inputs[0], axes[0], ndim, stream());
  array b = align_mapped(inputs[1], axes[1], ndim, stream());
  array c = align_mapped(inputs[2], axes[2], ndim, stream());
  if (axes[0] < 0 && axes[1] < 0 && axes[2] >= 0) {
    // The product has no mapped axis for c to broadcast to: give it one.
    a = broadcast_to(
        expand_dims(a, 0, stream()),
        [&] {
          Shape shape = a.shape();
          shape.insert(shape.begin(), ndim - static_cast<int>(a.ndim()), 1);
          shape.insert(shape.begin(), c.shape(0));
          return shape;
        }(),
        stream());
  }
  return {{addmm(c, a, b, alpha_, beta_, stream())}, {0}};
}

}  // namespace mlx::core
