// Quantisation and products with quantised matrices.
#include <string>

#include "mlx/optable/quantized.h"
#include "python/src/def_op.h"

namespace mlx::python {

namespace {

using MaybeArray = std::optional<array>;
using Arrays = nb::typed<nb::tuple, array, nb::ellipsis>;

/** "2, 3, 4 (4)": the choices, and the one that is made if none is given. */
std::string listed(const QuantizationChoices& choices) {
  std::string text;
  for (int value : choices.values) text += (text.empty() ? "" : ", ") + std::to_string(value);
  return text + " (" + std::to_string(choices.standard) + ")";
}

std::string quantize_doc() {
  std::string modes;
  for (auto& row : quantization_table) {
    modes += std::string("  ") + row.name + ": bits " + listed(row.bits) + ", group sizes " +
             listed(row.group_sizes) + "\n";
  }
  constexpr const char* what =
      R"(The rows of `w` (..., k) in a few bits per value. Gives packed words (..., k * bits / 32)
of uint32, the first value in the lowest bits, scales (..., k / group_size) and in mode 'affine'
biases. `w` is float32, float16 or bfloat16; k is a multiple of the group size, and rows are whole
words. Modes, with what they take if nothing is given in brackets:

)";
  constexpr const char* how = R"(
affine: scale * code + bias, within a scale of the value, not counting that scales and biases are
rounded to the dtype of `w`. With more than one bit, the value of a group that is farthest from zero
is met exactly, and so is zero.
mxfp4, nvfp4: numbers of 4 bits (0, 0.5, 1, 1.5, 2, 3, 4, 6 and a sign), to the nearest, of two
equally near ones to the smaller. mxfp8: numbers of 4 bits of exponent and 3 of mantissa, to nearest
even. Scales are bytes: in mx modes powers of two (e8m0) that keep the largest value in range, in
nvfp4 numbers like those of mxfp8, where a `global_scale`, the largest magnitude in `w`, extends
their range. A group with an infinity or NaN is NaN as a whole.)";
  return what + modes + how;
}

void bind_conversions(nb::module_& m) {
  m.def(
      "quantize",
      [](const array& w, std::optional<int> group_size, std::optional<int> bits,
         const std::string& mode, const MaybeArray& global_scale, StreamOrDevice s) {
        auto arrays = quantize(w, group_size, bits, mode, global_scale, s);
        return Arrays(nb::tuple(nb::cast(arrays)));
      },
      "w"_a, "group_size"_a = nb::none(), "bits"_a = nb::none(), "mode"_a = "affine", nb::kw_only(),
      "global_scale"_a = nb::none(), "stream"_a = nb::none(), quantize_doc().c_str());
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
      "The values (..., k) that `quantize` packed, given its arrays and settings. In mode\n"
      "'affine' the product of scale and code is rounded to the dtype of scales and biases,\n"
      "and so is the sum with the bias; in other modes values are exact in float32 but for a\n"
      "global scale. They are then rounded to `dtype`: without one they stay as they are in\n"
      "mode 'affine' and with a global scale, and become bfloat16 otherwise.");
}

nb::handle interned(const char* name) {
  nb::handle text = PyUnicode_InternFromString(name);
  return text.is_valid() ? text : throw nb::python_error();
}

/** What a layer keeps as an entry; nothing if it is not there or None. */
MaybeArray find_array(nb::handle layer, nb::handle name) {
  nb::handle found = PyDict_GetItemWithError(layer.ptr(), name.ptr());
  if (!found.is_valid() && PyErr_Occurred()) throw nb::python_error();
  return !found.is_valid() || found.is_none() ? MaybeArray() : to_array(Operand{found.ptr()});
}

array array_of(nb::handle layer, nb::handle name) {
  auto found = find_array(layer, name);
  if (!found) throw nb::key_error(nb::cast<const char*>(name));
  return *std::move(found);
}

/** x times the matrix that a layer keeps beside its settings. Looking each up in Python and handing
 *  it over by name takes as long as the rest of a call. */
array multiply_by_layer(const array& x, const nb::dict& layer) {
  static const nb::handle weight = interned("weight"), scales = interned("scales"),
                          biases = interned("biases"), group_size = interned("group_size"),
                          bits = interned("bits"), mode = interned("mode");
  return quantized_matmul(
      x, array_of(layer, weight), array_of(layer, scales), find_array(layer, biases), true,
      nb::cast<std::optional<int>>(layer.attr(group_size)),
      nb::cast<std::optional<int>>(layer.attr(bits)), nb::cast<std::string>(layer.attr(mode)));
}

void bind_products(nb::module_& m) {
  m.def("_multiply_by_layer", &multiply_by_layer, "x"_a, "layer"_a,
        "`quantized_matmul` with the entries and attributes of a layer of that name.");
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
      "x (..., m, k) times a quantized matrix, given as `quantize` made it: n rows of k\n"
      "values, or without `transpose` k rows of n. Leading axes broadcast. The dtype is what\n"
      "x, scales and biases promote to. A result that is a normal number of it is within (e +\n"
      "k * 2^-23) * sum |x| (|w| + 2 |bias|) of the one with the values in real arithmetic; e\n"
      "is 2^-22 for float32, 2^-10 for float16 and 2^-7 for bfloat16.");
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
      "`quantized_matmul` of matrices that indices pick from the flattened batches of `x` and\n"
      "`w`, as in `gather_mm`, with the same error. `global_scale` is one number, or one for\n"
      "each matrix of `w`. `sorted_indices` promises that `rhs_indices` never fall. A wrong\n"
      "index raises IndexError when the result is evaluated.");
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
      "`quantize` leaves of them in one of the modes of small floats; with `scales`, w is\n"
      "packed already. The result has the dtype of x, and the error of `quantized_matmul`\n"
      "from the product of what is left. Gradients pass through the rounding of x and of a w\n"
      "that is not packed.");
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
      "`gather_qmm`.");
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
