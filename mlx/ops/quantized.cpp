// Quantisation and products with quantised matrices: dtype rules and one node each.
#include "mlx/primitives/quantized.h"

#include "mlx/core/errors.h"
#include "mlx/core/object_pool.h"
#include "mlx/ops.h"
#include "mlx/ops/gather_mm.h"
#include "mlx/ops/quantized_checks.h"
#include "mlx/primitives/quantized_operands.h"

namespace mlx::core {

using namespace detail;

namespace {

using MaybeArray = std::optional<array>;

/** Adds the arrays of a weight that a product of dtype `dtype` reads. */
void add_weight(std::vector<array>& inputs, const array& w, const array& scales,
                const MaybeArray& biases, Dtype dtype, StreamOrDevice s) {
  inputs.push_back(w);
  inputs.push_back(biases ? astype(scales, dtype, s) : scales);
  if (biases) inputs.push_back(astype(*biases, dtype, s));
}

/** The dtype of a product: what x, scales and biases promote to. */
Dtype product_type(const char* op, const array& x, const array& scales, const MaybeArray& biases) {
  Dtype dtype = x.dtype();
  if (biases) dtype = promote_types(dtype, promote_types(scales.dtype(), biases->dtype()));
  check(is_quantizable(dtype), op, "x must be float32, float16 or bfloat16, but has dtype ",
        x.dtype(), " and shape ", x.shape(), ".");
  return dtype;
}

void check_matrix(const char* op, const array& w) {
  check(w.ndim() >= 2, op, "The matrix must have at least two dimensions, but has shape ",
        w.shape(), ".");
}

/** That x (..., m, k) meets k rows, or k values in a row, of a quantised matrix. */
void check_inner(const char* op, const QuantizedFormat& format, const array& x, const array& w,
                 bool transpose) {
  int inner = transpose ? format.values(w.shape(-1)) : w.shape(-2);
  check(x.shape(-1) == inner, op, "The last dimension of x with shape ", x.shape(), " must be ",
        inner, " for a packed matrix with shape ", w.shape(), ", bits=", format.bits,
        " and transpose=", transpose ? "true" : "false", ".");
}

/** Checks the operands of a product with a packed matrix; its dtype. */
Dtype check_product(const char* op, const QuantizedFormat& format, const array& x, const array& w,
                    const array& scales, const MaybeArray& biases, bool transpose) {
  check_quantized(op, format, w, scales, biases);
  check_matrix(op, w);
  check(x.ndim() >= 1, op, "x must have at least one dimension.");
  Dtype dtype = product_type(op, x, scales, biases);
  check_inner(op, format, x, w, transpose);
  return dtype;
}

array as_row(const array& x, StreamOrDevice s) { return x.ndim() == 1 ? expand_dims(x, 0, s) : x; }

array as_given(const array& product, const array& x, StreamOrDevice s) {
  return x.ndim() == 1 ? squeeze(product, -2, s) : product;
}

/** Indices into both batches, of one shape. */
std::vector<array> both_indices(const char* op, const MaybeArray& lhs, const MaybeArray& rhs,
                                const array& x, const array& w, StreamOrDevice s) {
  return broadcast_arrays({batch_indices(op, lhs, x, s), batch_indices(op, rhs, w, s)}, s);
}

/** Inputs of the products that quantise both operands after x: the weight and global scales. */
std::vector<array> qq_weight(const char* op, const QuantizedFormat& format, const array& x,
                             const array& w, const MaybeArray& scales, const MaybeArray& global_x,
                             const MaybeArray& global_w, StreamOrDevice s) {
  check(!format.has_biases(), op,
        "Mode 'affine' cannot quantise both operands; the modes are 'mxfp4', 'mxfp8' and 'nvfp4'.");
  check(x.ndim() >= 1, op, "x must have at least one dimension.");
  check_quantizable(op, "x", x);
  check_matrix(op, w);
  check_row(op, format, x);
  std::vector<array> inputs{w};
  if (scales) {
    check_quantized(op, format, w, *scales, std::nullopt);
    check_inner(op, format, x, w, true);
    inputs.push_back(*scales);
  } else {
    check(w.dtype() != uint32, op, "A packed matrix needs its scales; it has shape ", w.shape(),
          ".");
    check_quantizable(op, "w", w);
    check(x.shape(-1) == w.shape(-1), op, "The last dimension of x with shape ", x.shape(),
          " must be that of w with shape ", w.shape(), ".");
  }
  check(global_x.has_value() == global_w.has_value(), op,
        "Global scales must be given for both operands or for neither.");
  if (global_x) {
    inputs.push_back(checked_global_scale(op, format, *global_x, as_row(x, s), s));
    inputs.push_back(checked_global_scale(op, format, *global_w, w, s));
  }
  return inputs;
}

}  // namespace

std::vector<array> quantize(const array& w, std::optional<int> group_size, std::optional<int> bits,
                            const std::string& mode, const MaybeArray& global_scale,
                            StreamOrDevice s) {
  QuantizedFormat format = quantized_format("quantize", group_size, bits, mode);
  check_matrix("quantize", w);
  check_quantizable("quantize", "The matrix", w);
  check_row("quantize", format, w);
  std::vector<array> inputs{w};
  if (global_scale) {
    inputs.push_back(checked_global_scale("quantize", format, *global_scale, w, s));
  }
  return quantize_node(format, std::move(inputs), to_stream(s));
}

array dequantize(const array& w, const array& scales, const MaybeArray& biases,
                 std::optional<int> group_size, std::optional<int> bits, const std::string& mode,
                 const MaybeArray& global_scale, std::optional<Dtype> dtype, StreamOrDevice s) {
  QuantizedFormat format = quantized_format("dequantize", group_size, bits, mode);
  check_quantized("dequantize", format, w, scales, biases);
  Dtype computed = biases         ? promote_types(scales.dtype(), biases->dtype())
                   : global_scale ? float32
                                  : bfloat16;
  Dtype out = dtype.value_or(computed);
  check(issubdtype(out, floating), "dequantize", "The output needs a real floating dtype, but got ",
        out, ".");
  std::vector<array> inputs;
  add_weight(inputs, w, scales, biases, computed, s);
  if (global_scale) {
    inputs.push_back(checked_global_scale("dequantize", format, *global_scale, as_row(w, s), s));
  }
  return dequantize_node(format, out, std::move(inputs), to_stream(s));
}

array quantized_matmul(const array& x, const array& w, const array& scales,
                       const MaybeArray& biases, bool transpose, std::optional<int> group_size,
                       std::optional<int> bits, const std::string& mode, StreamOrDevice s) {
  const char* op = "quantized_matmul";
  QuantizedFormat format = quantized_format(op, group_size, bits, mode);
  Dtype dtype = check_product(op, format, x, w, scales, biases, transpose);
  std::vector<array> inputs;
  inputs.reserve(4);
  inputs.push_back(astype(as_row(x, s), dtype, s));
  add_weight(inputs, w, scales, biases, dtype, s);
  auto node = make_pooled<QuantizedMatmul>(to_stream(s), format, transpose);
  return as_given(make_node(std::move(node), dtype, std::move(inputs)), x, s);
}

array gather_qmm(const array& x, const array& w, const array& scales, const MaybeArray& biases,
                 MaybeArray lhs_indices, MaybeArray rhs_indices, bool transpose,
                 std::optional<int> group_size, std::optional<int> bits, const std::string& mode,
                 const MaybeArray& global_scale, bool sorted_indices, StreamOrDevice s) {
  const char* op = "gather_qmm";
  QuantizedFormat format = quantized_format(op, group_size, bits, mode);
  Dtype dtype = check_product(op, format, x, w, scales, biases, transpose);
  array rows = astype(as_row(x, s), dtype, s);
  auto inputs = joined({rows}, both_indices(op, lhs_indices, rhs_indices, rows, w, s));
  add_weight(inputs, w, scales, biases, dtype, s);
  if (global_scale) inputs.push_back(checked_global_scale(op, format, *global_scale, w, s));
  auto node = make_pooled<GatherQuantizedMatmul>(to_stream(s), format, transpose, sorted_indices);
  return as_given(make_node(node, dtype, std::move(inputs)), x, s);
}

array qqmm(const array& x, const array& w, const MaybeArray& w_scales,
           std::optional<int> group_size, std::optional<int> bits, const std::string& mode,
           const MaybeArray& global_scale_x, const MaybeArray& global_scale_w, StreamOrDevice s) {
  QuantizedFormat format = quantized_format("qqmm", group_size, bits, mode);
  auto weight = qq_weight("qqmm", format, x, w, w_scales, global_scale_x, global_scale_w, s);
  auto node = make_pooled<QQMatmul>(to_stream(s), format, w_scales.has_value());
  return as_given(make_node(node, x.dtype(), joined({as_row(x, s)}, weight)), x, s);
}

array gather_qqmm(const array& x, const array& w, const MaybeArray& scales_w,
                  const MaybeArray& lhs_indices, const MaybeArray& rhs_indices,
                  std::optional<int> group_size, std::optional<int> bits, const std::string& mode,
                  const MaybeArray& global_scale_x, const MaybeArray& global_scale_w,
                  bool sorted_indices, StreamOrDevice s) {
  const char* op = "gather_qqmm";
  QuantizedFormat format = quantized_format(op, group_size, bits, mode);
  auto weight = qq_weight(op, format, x, w, scales_w, global_scale_x, global_scale_w, s);
  array rows = as_row(x, s);
  auto indices = both_indices(op, lhs_indices, rhs_indices, rows, w, s);
  auto node =
      make_pooled<GatherQQMatmul>(to_stream(s), format, scales_w.has_value(), sorted_indices);
  return as_given(make_node(node, x.dtype(), joined(joined({rows}, indices), weight)), x, s);
}

}  // namespace mlx::core
