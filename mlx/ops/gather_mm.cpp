// Products of gathered, segmented and block-masked matrices.
#include "mlx/ops/gather_mm.h"

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/primitives/gather_mm.h"

namespace mlx::core {

namespace {

void check_inner(const char* op, const array& a, const array& b) {
  check(a.ndim() >= 2 && b.ndim() >= 2, op, "Inputs need at least two dimensions, but have shapes ",
        a.shape(), " and ", b.shape(), ".");
  check(a.shape(-1) == b.shape(-2), op, "Last dimension of first input with shape ", a.shape(),
        " must match second to last dimension of second input with shape ", b.shape(), ".");
}

/** One entry per block as one entry per element of a matrix with the shape of `like`. */
array expanded_mask(const array& mask, const array& like, int block_size, StreamOrDevice s) {
  auto blocks = [block_size](int extent) { return (extent + block_size - 1) / block_size; };
  check(mask.ndim() >= 2 && mask.shape(-2) == blocks(like.shape(-2)) &&
            mask.shape(-1) == blocks(like.shape(-1)),
        "block_masked_mm", "Mask with shape ", mask.shape(), " does not cover a matrix with shape ",
        like.shape(), " in blocks of ", block_size, ".");
  array full = repeat(repeat(mask, block_size, -1, s), block_size, -2, s);
  Shape start(full.ndim(), 0), stop = full.shape();
  stop[full.ndim() - 2] = like.shape(-2);
  stop[full.ndim() - 1] = like.shape(-1);
  return slice(full, std::move(start), std::move(stop), s);
}

array masked(const array& x, const std::optional<array>& mask, int block_size, StreamOrDevice s) {
  if (!mask) {
    return x;
  }
  array full = expanded_mask(*mask, x, block_size, s);
  return mask->dtype() == bool_ ? where(full, x, zeros({}, x.dtype(), s), s)
                                : multiply(x, astype(full, x.dtype(), s), s);
}

}  // namespace

array detail::batch_indices(const char* op, const std::optional<array>& indices,
                            const array& operand, StreamOrDevice s) {
  if (indices) {
    check(issubdtype(indices->dtype(), integer), op, "Indices must be integral, but have dtype ",
          indices->dtype(), ".");
    return astype(*indices, int64, s);
  }
  Shape batch(operand.shape().begin(), operand.shape().end() - 2);
  return reshape(arange(static_cast<double>(num_elements(batch)), int64, s), batch, s);
}

array gather_mm(array a, array b, std::optional<array> lhs_indices,
                std::optional<array> rhs_indices, bool /* sorted_indices */, StreamOrDevice s) {
  if (!lhs_indices && !rhs_indices) {
    return matmul(a, b, s);
  }
  if (a.ndim() == 1) {
    return squeeze(gather_mm(expand_dims(a, 0, s), b, lhs_indices, rhs_indices, false, s), -2, s);
  }
  if (b.ndim() == 1) {
    return squeeze(gather_mm(a, expand_dims(b, 1, s), lhs_indices, rhs_indices, false, s), -1, s);
  }
  check_inner("gather_mm", a, b);
  Dtype dtype = result_type(a, b);
  std::vector<array> indices =
      broadcast_arrays({detail::batch_indices("gather_mm", lhs_indices, a, s),
                        detail::batch_indices("gather_mm", rhs_indices, b, s)},
                       s);
  std::vector<array> inputs = {astype(a, dtype, s), astype(b, dtype, s), indices[0], indices[1]};
  auto primitive = std::make_shared<GatherMM>(to_stream(s));
  Shape shape = primitive->output_shapes(inputs)[0];
  return array(std::move(shape), dtype, std::move(primitive), std::move(inputs));
}

array segmented_mm(array a, array b, array segments, StreamOrDevice s) {
  check(a.ndim() == 2 && b.ndim() == 2, "segmented_mm",
        "Batched products are not supported, but inputs have shapes ", a.shape(), " and ",
        b.shape(), ".");
  check_inner("segmented_mm", a, b);
  check(issubdtype(segments.dtype(), integer), "segmented_mm",
        "Segments must be integral, but have dtype ", segments.dtype(), ".");
  check(segments.ndim() >= 1 && segments.shape(-1) == 2, "segmented_mm",
        "Segments must be pairs along the last dimension, but have shape ", segments.shape(), ".");
  Dtype dtype = result_type(a, b);
  std::vector<array> inputs = {astype(a, dtype, s), astype(b, dtype, s),
                               astype(segments, int64, s)};
  auto primitive = std::make_shared<SegmentedMM>(to_stream(s));
  Shape shape = primitive->output_shapes(inputs)[0];
  return array(std::move(shape), dtype, std::move(primitive), std::move(inputs));
}

array block_masked_mm(array a, array b, int block_size, std::optional<array> mask_out,
                      std::optional<array> mask_lhs, std::optional<array> mask_rhs,
                      StreamOrDevice s) {
  check(block_size == 32 || block_size == 64, "block_masked_mm",
        "Only block sizes 32 and 64 are supported, but got ", block_size, ".");
  check_inner("block_masked_mm", a, b);
  array product = matmul(masked(a, mask_lhs, block_size, s), masked(b, mask_rhs, block_size, s), s);
  return masked(product, mask_out, block_size, s);
}

}  // namespace mlx::core
