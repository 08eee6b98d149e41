// Products of two operands that are both quantised. Derivatives pass through the rounding as if
// there were none: they are those of the product of what quantisation leaves.
#include <algorithm>
#include <functional>

#include "mlx/ops.h"
#include "mlx/primitives/gather_mm.h"
#include "mlx/primitives/indices.h"
#include "mlx/primitives/matmul.h"
#include "mlx/primitives/quantized_operands.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;
using Product = std::function<Arrays(const Arrays&)>;

/** Inputs (or their mapped axes) by operand, each with its global scale last; `first` is where the
 *  weight begins. */
template <typename T>
struct Operands {
  std::vector<T> x, w;

  Operands(const std::vector<T>& inputs, size_t first, bool packed) : x{inputs[0]} {
    size_t scales = first + 1 + packed;
    w = {inputs.begin() + static_cast<int64_t>(first),
         inputs.begin() + static_cast<int64_t>(scales)};
    if (scales < inputs.size()) {
      x.push_back(inputs[scales]);
      w.push_back(inputs[scales + 1]);
    }
  }
};

/** The inputs again, with indices between the operands. */
Arrays inputs_of(const Operands<array>& operands, const Arrays& indices, bool packed) {
  Arrays inputs = joined({operands.x[0]}, indices);
  size_t matrices = 1 + packed;
  for (size_t i = 0; i < matrices; i++) inputs.push_back(operands.w[i]);
  if (operands.x.size() > 1) {
    inputs.push_back(operands.x[1]);
    inputs.push_back(operands.w[matrices]);
  }
  return inputs;
}

/** Packed words and scales of an operand, its global scale after them. */
Arrays quantized(const QuantizedFormat& format, const Arrays& operand, Stream s) {
  return joined(quantize_node(format, operand, s), tail(operand, 1));
}

/** x as quantisation leaves it, and the weight as a QuantizedWeight. */
struct Rounded {
  array x;
  Arrays w;

  Rounded(const QuantizedFormat& format, const Operands<array>& operands, bool packed, Stream s)
      : x(dequantize_node(format, operands.x[0].dtype(), quantized(format, operands.x, s), s)),
        w(packed ? operands.w : quantized(format, operands.w, s)) {}

  Arrays dense(const QuantizedFormat& format, Stream s) const {
    return {x, dequantize_node(format, x.dtype(), w, s)};
  }
};

/** Derivatives of a product at the rounded operands, with respect to those that were given. */
class StraightThrough {
 public:
  /** `inputs` as of the node, the weight from `first` on. */
  StraightThrough(const QuantizedFormat& format, const Arrays& inputs, int first, bool packed,
                  Product product, Stream s)
      : values_(Rounded(format, Operands(inputs, first, packed), packed, s).dense(format, s)),
        product_(std::move(product)),
        weight_(packed ? -1 : first),
        stream_(s) {}

  Arrays gradients(const Arrays& primals, const Arrays& cotangents,
                   const std::vector<int>& argnums) const {
    Arrays both = vjp(product_, values_, cotangents).second;
    Arrays result;
    for (int i : argnums) {
      const array& like = primals[i];
      result.push_back(i == 0         ? both[0]
                       : i == weight_ ? astype(both[1], like.dtype(), stream_)
                                      : zeros_like(like, stream_));
    }
    return result;
  }

  Arrays tangent(const Arrays& tangents, const std::vector<int>& argnums) const {
    Arrays directions = {zeros_like(values_[0], stream_), zeros_like(values_[1], stream_)};
    for (size_t i = 0; i < argnums.size(); i++) {
      if (argnums[i] == 0) directions[0] = tangents[i];
      if (argnums[i] == weight_) directions[1] = astype(tangents[i], values_[1].dtype(), stream_);
    }
    return jvp(product_, values_, directions).second;
  }

 private:
  Arrays values_;  // x and the weight
  Product product_;
  int weight_;  // its input, if a derivative passes through it
  Stream stream_;
};

/** The operands with their mapped axes first and `x_ndim`, `w_ndim` axes of their own. */
Operands<array> mapped(const Arrays& inputs, const std::vector<int>& axes, size_t first,
                       bool packed, int x_ndim, int w_ndim, Stream s) {
  int count = mapped_count(inputs, axes);
  Operands<array> operands(inputs, first, packed);
  Operands<int> mapped(axes, first, packed);
  operands.x = mapped_operand(operands.x, mapped.x, 1, x_ndim, count, s);
  operands.w = mapped_operand(operands.w, mapped.w, 1 + packed, w_ndim, count, s);
  return operands;
}

Product plain_product(Stream s) {
  return [s](const Arrays& in) { return Arrays{matmul(in[0], swapaxes(in[1], -1, -2, s), s)}; };
}

Product plain_picked_product(const array& lhs, const array& rhs, bool sorted, Stream s) {
  return [=](const Arrays& in) {
    return Arrays{gather_mm(in[0], swapaxes(in[1], -1, -2, s), lhs, rhs, sorted, s)};
  };
}

}  // namespace

// ------------------------------------------------------------------ QQMatmul

std::vector<Shape> QQMatmul::output_shapes(const Arrays& inputs) {
  Shape w = inputs[1].shape();
  w.back() = inputs[0].shape(-1);
  std::swap(w[w.size() - 1], w[w.size() - 2]);
  return {matmul_shape(inputs[0].shape(), w)};
}

std::vector<array> QQMatmul::fallback(const Arrays& inputs) const {
  Rounded rounded(format_, Operands(inputs, 1, packed_), packed_, stream());
  return {make_node(std::make_shared<QuantizedMatmul>(stream(), format_, true), inputs[0].dtype(),
                    joined({rounded.x}, rounded.w))};
}

std::vector<array> QQMatmul::vjp(const Arrays& primals, const Arrays& cotangents,
                                 const std::vector<int>& argnums, const Arrays&) {
  StraightThrough rule(format_, primals, 1, packed_, plain_product(stream()), stream());
  return rule.gradients(primals, cotangents, argnums);
}

std::vector<array> QQMatmul::jvp(const Arrays& primals, const Arrays& tangents,
                                 const std::vector<int>& argnums) {
  StraightThrough rule(format_, primals, 1, packed_, plain_product(stream()), stream());
  return rule.tangent(tangents, argnums);
}

std::pair<std::vector<array>, std::vector<int>> QQMatmul::vmap(const Arrays& inputs,
                                                               const std::vector<int>& axes) {
  int ndim = std::max(example_ndim(inputs[0], axes[0]), example_ndim(inputs[1], axes[1]));
  auto operands = mapped(inputs, axes, 1, packed_, ndim, ndim, stream());
  return {{make_node(std::make_shared<QQMatmul>(stream(), format_, packed_), inputs[0].dtype(),
                     inputs_of(operands, {}, packed_))},
          {0}};
}

// ------------------------------------------------------------------ GatherQQMatmul

std::vector<Shape> GatherQQMatmul::output_shapes(const Arrays& inputs) {
  Shape out = inputs[1].shape();
  out.push_back(inputs[0].shape(-2));
  out.push_back(inputs[3].shape(-2));
  return {out};
}

std::vector<array> GatherQQMatmul::fallback(const Arrays& inputs) const {
  Rounded rounded(format_, Operands(inputs, 3, packed_), packed_, stream());
  return {make_node(std::make_shared<GatherQuantizedMatmul>(stream(), format_, true, sorted_),
                    inputs[0].dtype(), joined({rounded.x, inputs[1], inputs[2]}, rounded.w))};
}

std::vector<array> GatherQQMatmul::vjp(const Arrays& primals, const Arrays& cotangents,
                                       const std::vector<int>& argnums, const Arrays&) {
  check_no_index("gather_qqmm", argnums, 1, 2);
  auto product = plain_picked_product(primals[1], primals[2], sorted_, stream());
  StraightThrough rule(format_, primals, 3, packed_, product, stream());
  return rule.gradients(primals, cotangents, argnums);
}

std::vector<array> GatherQQMatmul::jvp(const Arrays& primals, const Arrays& tangents,
                                       const std::vector<int>& argnums) {
  check_no_index("gather_qqmm", argnums, 1, 2);
  auto product = plain_picked_product(primals[1], primals[2], sorted_, stream());
  StraightThrough rule(format_, primals, 3, packed_, product, stream());
  return rule.tangent(tangents, argnums);
}

std::pair<std::vector<array>, std::vector<int>> GatherQQMatmul::vmap(const Arrays& inputs,
                                                                     const std::vector<int>& axes) {
  Stream s = stream();
  int count = mapped_count(inputs, axes);
  auto operands = mapped(inputs, axes, 3, packed_, example_ndim(inputs[0], axes[0]),
                         example_ndim(inputs[3], axes[3]), s);
  Operands<int> where(axes, 3, packed_);
  bool many_x = any_mapped(where.x), many_w = any_mapped(where.w);
  array lhs = mapped_indices(operands.x[0], many_x ? 0 : -1, inputs[1], axes[1], count, s);
  array rhs = mapped_indices(operands.w[0], many_w ? 0 : -1, inputs[2], axes[2], count, s);
  auto node = std::make_shared<GatherQQMatmul>(s, format_, packed_, sorted_ && many_w);
  return {{make_node(node, inputs[0].dtype(), inputs_of(operands, {lhs, rhs}, packed_))}, {0}};
}

}  // namespace mlx::core
