// How transforms see products with a quantised matrix: with respect to x by the same product, with
// respect to scales and biases through the plain form.
#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/primitives/broadcast.h"
#include "mlx/primitives/gather_mm.h"
#include "mlx/primitives/indices.h"
#include "mlx/primitives/matmul.h"
#include "mlx/primitives/quantized_operands.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

/** The inputs among `argnums` after x. Throws std::invalid_argument unless derivatives pass through
 *  all of them. */
std::vector<int> parameters(const char* op, const Arrays& primals,
                            const std::vector<int>& argnums) {
  std::vector<int> chosen;
  for (int i : argnums) {
    check(issubdtype(primals[i].dtype(), floating), op,
          "There is no derivative with respect to packed weights and scales: put them through "
          "stop_gradient.");
    if (i > 0) chosen.push_back(i);
  }
  return chosen;
}

/** Gradients: `of_x()` for the first input, by the plain form for parameters. */
template <typename F>
Arrays gradients(FallbackPrimitive& primitive, const Arrays& primals, const Arrays& cotangents,
                 const std::vector<int>& argnums, F of_x) {
  std::vector<int> rest = parameters(primitive.name(), primals, argnums);
  Arrays by_plain_form;
  if (!rest.empty()) {
    by_plain_form = primitive.FallbackPrimitive::vjp(primals, cotangents, rest, {});
  }
  Arrays result;
  size_t next = 0;
  for (int i : argnums) {
    result.push_back(i == 0 ? of_x() : by_plain_form[next++]);
  }
  return result;
}

/** The tangent: `along_x(t)` for the first input's, by the plain form for those of parameters. */
template <typename F>
Arrays tangent(FallbackPrimitive& primitive, const Arrays& primals, const Arrays& tangents,
               const std::vector<int>& argnums, F along_x) {
  Stream s = primitive.stream();
  std::vector<int> rest = parameters(primitive.name(), primals, argnums);
  Arrays along_rest;
  std::optional<array> sum;
  for (size_t i = 0; i < argnums.size(); i++) {
    if (argnums[i] == 0) {
      sum = along_x(tangents[i]);
    } else {
      along_rest.push_back(tangents[i]);
    }
  }
  if (!rest.empty()) {
    array part = primitive.FallbackPrimitive::jvp(primals, along_rest, rest)[0];
    sum = sum ? add(*sum, part, s) : part;
  }
  return {*sum};
}

array oriented(const array& w, bool transpose, Stream s) {
  return transpose ? swapaxes(w, -1, -2, s) : w;
}

/** Columns of the product with a packed matrix. */
int columns_of(const QuantizedFormat& format, const array& packed, bool transpose) {
  return transpose ? packed.shape(-2) : format.values(packed.shape(-1));
}

array product(const QuantizedFormat& format, bool transpose, const array& x, const Arrays& weight,
              Stream s) {
  return make_node(std::make_shared<QuantizedMatmul>(s, format, transpose), x.dtype(),
                   joined({x}, weight));
}

}  // namespace

// ------------------------------------------------------------------ QuantizedMatmul

std::vector<Shape> QuantizedMatmul::output_shapes(const Arrays& inputs) {
  Shape w = inputs[1].shape();
  w.back() = format_.values(w.back());
  if (transpose_) std::swap(w[w.size() - 1], w[w.size() - 2]);
  return {matmul_shape(inputs[0].shape(), w)};
}

std::vector<array> QuantizedMatmul::fallback(const Arrays& inputs) const {
  array w = dequantize_node(format_, inputs[0].dtype(), tail(inputs, 1), stream());
  return {matmul(inputs[0], oriented(w, transpose_, stream()), stream())};
}

std::vector<array> QuantizedMatmul::vjp(const Arrays& primals, const Arrays& cotangents,
                                        const std::vector<int>& argnums, const Arrays&) {
  return gradients(*this, primals, cotangents, argnums, [&] {
    array g = product(format_, !transpose_, cotangents[0], tail(primals, 1), stream());
    return sum_to_shape(g, primals[0].shape(), stream());
  });
}

std::vector<array> QuantizedMatmul::jvp(const Arrays& primals, const Arrays& tangents,
                                        const std::vector<int>& argnums) {
  return tangent(*this, primals, tangents, argnums, [&](const array& t) {
    return product(format_, transpose_, t, tail(primals, 1), stream());
  });
}

std::pair<std::vector<array>, std::vector<int>> QuantizedMatmul::vmap(
    const Arrays& inputs, const std::vector<int>& axes) {
  int ndim = std::max(example_ndim(inputs[0], axes[0]), example_ndim(inputs[1], axes[1]));
  Arrays weight = mapped_operand(tail(inputs, 1), tail(axes, 1), format_.arrays(), ndim,
                                 mapped_count(inputs, axes), stream());
  array x = align_mapped(inputs[0], axes[0], ndim, stream());
  return {{product(format_, transpose_, x, weight, stream())}, {0}};
}

// ------------------------------------------------------------------ GatherQuantizedMatmul

namespace {

array picked_product(const QuantizedFormat& format, bool transpose, bool sorted, const array& x,
                     const array& lhs, const array& rhs, const Arrays& weight, Stream s) {
  return make_node(std::make_shared<GatherQuantizedMatmul>(s, format, transpose, sorted), x.dtype(),
                   joined({x, lhs, rhs}, weight));
}

}  // namespace

std::vector<Shape> GatherQuantizedMatmul::output_shapes(const Arrays& inputs) {
  Shape out = inputs[1].shape();
  out.push_back(inputs[0].shape(-2));
  out.push_back(columns_of(format_, inputs[3], transpose_));
  return {out};
}

std::vector<array> GatherQuantizedMatmul::fallback(const Arrays& inputs) const {
  array w = dequantize_node(format_, inputs[0].dtype(), tail(inputs, 3), stream());
  return {gather_mm(inputs[0], oriented(w, transpose_, stream()), inputs[1], inputs[2], sorted_,
                    stream())};
}

std::vector<array> GatherQuantizedMatmul::vjp(const Arrays& primals, const Arrays& cotangents,
                                              const std::vector<int>& argnums, const Arrays&) {
  check_no_index("gather_qmm", argnums, 1, 2);
  return gradients(*this, primals, cotangents, argnums, [&] {
    array parts =
        picked_product(format_, !transpose_, sorted_, cotangents[0],
                       positions(primals[1], stream()), primals[2], tail(primals, 3), stream());
    return add_to_picked(primals[0], primals[1], parts, stream());
  });
}

std::vector<array> GatherQuantizedMatmul::jvp(const Arrays& primals, const Arrays& tangents,
                                              const std::vector<int>& argnums) {
  check_no_index("gather_qmm", argnums, 1, 2);
  return tangent(*this, primals, tangents, argnums, [&](const array& t) {
    return picked_product(format_, transpose_, sorted_, t, primals[1], primals[2], tail(primals, 3),
                          stream());
  });
}

std::pair<std::vector<array>, std::vector<int>> GatherQuantizedMatmul::vmap(
    const Arrays& inputs, const std::vector<int>& axes) {
  Stream s = stream();
  int count = mapped_count(inputs, axes);
  std::vector<int> weight_axes = tail(axes, 3);
  bool many = any_mapped(weight_axes);
  Arrays weight = mapped_operand(tail(inputs, 3), weight_axes, format_.arrays(),
                                 example_ndim(inputs[3], axes[3]), count, s);
  array x = align_mapped(inputs[0], axes[0], example_ndim(inputs[0], axes[0]), s);
  array lhs = mapped_indices(x, axes[0] < 0 ? -1 : 0, inputs[1], axes[1], count, s);
  array rhs = mapped_indices(weight[0], many ? 0 : -1, inputs[2], axes[2], count, s);
  // One weight for all examples is read in order once for each.
  return {{picked_product(format_, transpose_, sorted_ && many, x, lhs, rhs, weight, s)}, {0}};
}

}  // namespace mlx::core
