// Quantisation and products with quantised matrices.
#include "mlx/optable/quantized.h"
#include "python/src/def_op.h"

namespace mlx::python {

namespace {

using MaybeArray = std::optional<array>;
using Arrays = nb::typed<nb::tuple, array, nb::ellipsis>;

void bind_conversions(nb::module_& m) {
  m.def(
      "quantize",
      [](const array& w, std::optional<int> group_size, std::optional<int> bits,
         const std::string& mode, const MaybeArray& global_scale, StreamOrDevice s) {
        auto arrays = quantize(w, group_size, bits, mode, global_scale, s);
        return Arrays(nb::tuple(nb::cast(arrays)));
      },
      "w"_a, "group_size"_a = nb::none(), "bits"_a = nb::none(), "mode"_a = "affine", nb::kw_only(),
      "global_scale"_a = nb::none(), "stream"_a = nb::none(),
      "The rows of `w` in a few bits per value: packed words (..., k * bits / 32), scales\n"
      "(..., k / group_size) and in mode 'affine' biases. See `quantize` of the C++ interface for\n"
      "the modes, their bits and group sizes.");
  m.def(
      "dequantize",
      [](const array& w, const array& scales, const MaybeArray& biases,
         std::optional<int> group_size, std::optional<int> bits, const std::string& mode,
         const MaybeArray& global_scale, std::optional<Dtype> dtype, StreamOrDevice s) {
        return dequantize(w, scales, biases, group_size, bits, mode, global_scale, dtype, s);
      },
      "w"_a, "scales"_a, "biases"_a = nb::none(), "group_size"_a = nb::none(),
      "bits"_a = nb::none(), "mode"_a = "affine", "global_scale"_a = nb::none(),
      "dtype"_a = nb::none(), nb::kw_only(), "stream"_a = nb::none(),
      "The values that `quantize` packed, rounded to the dtype of scales and biases on the way "
      "and\n"
      "then cast to `dtype`. Without biases it is bfloat16 by default, with a global scale "
      "float32.");
}

void bind_products(nb::module_& m) {
  m.def(
      "quantized_matmul",
      [](const array& x, const array& w, const array& scales, const MaybeArray& biases,
         bool transpose, std::optional<int> group_size, std::optional<int> bits,
         const std::string& mode, StreamOrDevice s) {
        return quantized_matmul(x, w, scales, biases, transpose, group_size, bits, mode, s);
      },
      "x"_a, "w"_a, "scales"_a, "biases"_a = nb::none(), "transpose"_a = true,
      "group_size"_a = nb::none(), "bits"_a = nb::none(), "mode"_a = "affine", nb::kw_only(),
      "stream"_a = nb::none(),
      "x (..., m, k) times a quantized matrix of n rows of k values, or without `transpose` of k\n"
      "rows of n. Leading axes broadcast.");
  m.def(
      "gather_qmm",
      [](const array& x, const array& w, const array& scales, const MaybeArray& biases,
         const MaybeArray& lhs_indices, const MaybeArray& rhs_indices, bool transpose,
         std::optional<int> group_size, std::optional<int> bits, const std::string& mode,
         const MaybeArray& global_scale, bool sorted_indices, StreamOrDevice s) {
        return gather_qmm(x, w, scales, biases, lhs_indices, rhs_indices, transpose, group_size,
                          bits, mode, global_scale, sorted_indices, s);
      },
      "x"_a, "w"_a, "scales"_a, "biases"_a = nb::none(), "lhs_indices"_a = nb::none(),
      "rhs_indices"_a = nb::none(), "transpose"_a = true, "group_size"_a = nb::none(),
      "bits"_a = nb::none(), "mode"_a = "affine", "global_scale"_a = nb::none(), nb::kw_only(),
      "sorted_indices"_a = false, "stream"_a = nb::none(),
      "`quantized_matmul` of matrices that indices pick from the flattened batches of `x` and "
      "`w`,\n"
      "as in `gather_mm`. `sorted_indices` promises that `rhs_indices` never fall.");
}

void bind_products_of_both(nb::module_& m) {
  m.def(
      "qqmm",
      [](const array& x, const array& w, const MaybeArray& scales, std::optional<int> group_size,
         std::optional<int> bits, const std::string& mode, const MaybeArray& global_scale_x,
         const MaybeArray& global_scale_w, StreamOrDevice s) {
        return qqmm(x, w, scales, group_size, bits, mode, global_scale_x, global_scale_w, s);
      },
      "x"_a, "w"_a, "scales"_a = nb::none(), "group_size"_a = nb::none(), "bits"_a = nb::none(),
      "mode"_a = "nvfp4", "global_scale_x"_a = nb::none(), "global_scale_w"_a = nb::none(),
      nb::kw_only(), "stream"_a = nb::none(),
      "The product of x (..., m, k) and the transposed w (..., n, k), both rounded to what\n"
      "`quantize` leaves of them. With `scales`, w is packed already. Gradients pass through the\n"
      "rounding of x and of a w that is not packed.");
  m.def(
      "gather_qqmm",
      [](const array& x, const array& w, const MaybeArray& scales, const MaybeArray& lhs_indices,
         const MaybeArray& rhs_indices, std::optional<int> group_size, std::optional<int> bits,
         const std::string& mode, const MaybeArray& global_scale_x,
         const MaybeArray& global_scale_w, bool sorted_indices, StreamOrDevice s) {
        return gather_qqmm(x, w, scales, lhs_indices, rhs_indices, group_size, bits, mode,
                           global_scale_x, global_scale_w, sorted_indices, s);
      },
      "x"_a, "w"_a, "scales"_a = nb::none(), "lhs_indices"_a = nb::none(),
      "rhs_indices"_a = nb::none(), "group_size"_a = nb::none(), "bits"_a = nb::none(),
      "mode"_a = "nvfp4", "global_scale_x"_a = nb::none(), "global_scale_w"_a = nb::none(),
      nb::kw_only(), "sorted_indices"_a = false, "stream"_a = nb::none(),
      "`qqmm` of matrices that indices pick from the flattened batches of `x` and `w`, as in\n"
      "`gather_mm`.");
}

nb::dict mode_table() {
  nb::dict table;
  auto choices = [](const QuantizationChoices& c) {
    nb::list values;
    for (int value : c.values) values.append(value);
    return nb::make_tuple(nb::tuple(values), c.standard);
  };
  for (auto& row : quantization_table) {
    table[row.name] = nb::make_tuple(choices(row.bits), choices(row.group_sizes));
  }
  return table;
}

}  // namespace

void bind_quantized(nb::module_& m) {
  bind_conversions(m);
  bind_products(m);
  bind_products_of_both(m);
  // For mlx.nn alone: each mode's bits and group sizes, as (choices, standard).
  m.attr("_quantization_modes") = mode_table();
}

}  // namespace mlx::python
