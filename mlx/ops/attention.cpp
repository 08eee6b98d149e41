// fast.scaled_dot_product_attention from plain ops: products, mask, softmax.
#include "mlx/core/errors.h"
#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx::core::fast {

namespace {

constexpr const char* op = "scaled_dot_product_attention";

void check_attention(const array& q, const array& k, const array& v) {
  for (const array* a : {&q, &k, &v}) {
    check(a->ndim() == 4, op, "inputs must have four dimensions, not shape ", a->shape(), ".");
    check(a->shape(0) == q.shape(0), op, "batches differ: ", q.shape(), " and ", a->shape(), ".");
  }
  check(q.shape(-1) == k.shape(-1), op, "queries of shape ", q.shape(), " and keys of shape ",
        k.shape(), " must have the same last axis.");
  check(k.shape(1) == v.shape(1) && k.shape(2) == v.shape(2), op, "keys of shape ", k.shape(),
        " and values of shape ", v.shape(), " must have the same heads and length.");
  check(k.shape(1) > 0 && q.shape(1) % k.shape(1) == 0, op, "the ", q.shape(1),
        " heads of the queries must be a multiple of the ", k.shape(1), " heads of the keys.");
  Dtype dtype = result_type(q, k, v);
  check(issubdtype(dtype, floating), op, "needs a floating dtype but got ", dtype_name(dtype), ".");
}

/** True where query i may look at key j: the last query sees all keys. */
array causal_mask(int queries, int keys, StreamOrDevice s) {
  array row = expand_dims(arange(keys - queries, keys, 1, s), 1, s);
  return greater_equal(row, expand_dims(arange(0, keys, 1, s), 0, s), s);
}

/** Splits the head axis (third from the end) into groups of `repeats`, if there is one. */
array split_heads(const array& a, int repeats, StreamOrDevice s) {
  if (repeats == 1 || a.ndim() < 3) {
    return a;
  }
  int axis = static_cast<int>(a.ndim()) - 3;
  if (a.shape(axis) == 1) {
    return expand_dims(a, axis, s);
  }
  return unflatten(a, axis, {a.shape(axis) / repeats, repeats}, s);
}

array checked_mask(const array& mask, Dtype dtype, const Shape& scores) {
  check(broadcast_shapes(mask.shape(), scores) == scores, op, "a mask of shape ", mask.shape(),
        " does not broadcast to the scores of shape ", scores, ".");
  check(promote_types(mask.dtype(), dtype) == dtype, op, "a mask of ", dtype_name(mask.dtype()),
        " does not promote to ", dtype_name(dtype), ".");
  return mask;
}

array apply_mask(const array& scores, const array& mask, StreamOrDevice s) {
  if (mask.dtype() != bool_) {
    return add(scores, astype(mask, scores.dtype(), s), s);
  }
  return where(mask, scores, array(finfo(scores.dtype()).min, scores.dtype()), s);
}

/** Softmax over the last axis with one more score for each head, whose weight is dropped. */
array softmax_with_sinks(const array& scores, const array& sinks, int heads, StreamOrDevice s) {
  int n = scores.shape(-1);
  Shape shape(scores.ndim(), 1), full = scores.shape();
  for (int i = 1; i < static_cast<int>(scores.ndim()) - 2; i++) shape[i] = scores.shape(i);
  full.back() = 1;
  check(sinks.ndim() == 1 && sinks.shape(0) == heads, op, "sinks must have shape (", heads,
        ") but have ", sinks.shape(), ".");
  array column = broadcast_to(reshape(astype(sinks, scores.dtype(), s), shape, s), full, s);
  array weights = softmax(concatenate({scores, column}, -1, s), -1, true, s);
  Shape stop = weights.shape();
  stop.back() = n;
  return slice(weights, Shape(weights.ndim(), 0), stop, s);
}

}  // namespace

array scaled_dot_product_attention(const array& queries, const array& keys, const array& values,
                                   const float scale, const std::string& mask_mode,
                                   std::optional<array> mask_arr, const std::optional<array>& sinks,
                                   bool /* force_fused */, StreamOrDevice s) {
  check_attention(queries, keys, values);
  check(mask_mode.empty() || mask_mode == "causal" || mask_mode == "array", op,
        "the mask must be 'causal' or an array, not '", mask_mode, "'.");
  Dtype dtype = result_type(queries, keys, values);
  int batch = queries.shape(0), heads = queries.shape(1), length = queries.shape(2);
  int keys_length = keys.shape(2), repeats = heads / keys.shape(1);
  if (sinks) {
    check(promote_types(sinks->dtype(), dtype) == dtype, op, "sinks of ",
          dtype_name(sinks->dtype()), " do not promote to ", dtype_name(dtype), ".");
  }

  array q = multiply(astype(queries, dtype, s), array(scale, dtype), s);
  array k = astype(keys, dtype, s), v = astype(values, dtype, s);
  q = split_heads(q, repeats, s);
  if (repeats > 1) {
    k = expand_dims(k, 2, s);
    v = expand_dims(v, 2, s);
  }
  array scores = matmul(q, swapaxes(k, -1, -2, s), s);
  if (mask_mode == "causal") {
    scores = apply_mask(scores, causal_mask(length, keys_length, s), s);
  } else if (mask_arr) {
    array mask = checked_mask(*mask_arr, dtype, {batch, heads, length, keys_length});
    scores = apply_mask(scores, split_heads(mask, repeats, s), s);
  }
  array weights =
      sinks ? softmax_with_sinks(scores, *sinks, heads, s) : softmax(scores, -1, true, s);
  array out = matmul(weights, v, s);
  return repeats > 1 ? flatten(out, 1, 2, s) : out;
}

}  // namespace mlx::core::fast
