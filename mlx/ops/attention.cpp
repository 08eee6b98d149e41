// fast.scaled_dot_product_attention: checks, dtype rules, one node.
#include "mlx/primitives/attention.h"

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

/** The mask with four axes, of bool or the dtype. */
array checked_mask(const array& mask, Dtype dtype, const Shape& scores, Stream s) {
  check(broadcast_shapes(mask.shape(), scores) == scores, op, "a mask of shape ", mask.shape(),
        " does not broadcast to the scores of shape ", scores, ".");
  check(promote_types(mask.dtype(), dtype) == dtype, op, "a mask of ", dtype_name(mask.dtype()),
        " does not promote to ", dtype_name(dtype), ".");
  Shape shape = mask.shape();
  shape.insert(shape.begin(), 4 - shape.size(), 1);
  array all_axes = reshape(mask, shape, s);
  return mask.dtype() == bool_ ? all_axes : astype(all_axes, dtype, s);
}

void check_sinks(const array& sinks, Dtype dtype, int heads) {
  check(promote_types(sinks.dtype(), dtype) == dtype, op, "sinks of ", dtype_name(sinks.dtype()),
        " do not promote to ", dtype_name(dtype), ".");
  check(sinks.ndim() == 1 && sinks.shape(0) == heads, op, "sinks must have shape (", heads,
        ") but have ", sinks.shape(), ".");
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
  Shape scores{queries.shape(0), queries.shape(1), queries.shape(2), keys.shape(2)};
  if (sinks) check_sinks(*sinks, dtype, scores[1]);
  auto stream = to_stream(s);
  bool causal = mask_mode == "causal";
  AttentionSpec spec{scale, causal, mask_arr && !causal, sinks.has_value()};
  std::vector<array> inputs{astype(queries, dtype, s), astype(keys, dtype, s),
                            astype(values, dtype, s)};
  if (spec.has_mask) inputs.push_back(checked_mask(*mask_arr, dtype, scores, stream));
  if (sinks) inputs.push_back(astype(*sinks, dtype, s));
  return Attention::outputs_of(inputs, spec, stream)[0];
}

}  // namespace mlx::core::fast
