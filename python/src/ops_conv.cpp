// Convolutions: channels come last in inputs (N, …, C) and weights (O, …, C).
#include <array>

#include "mlx/core/errors.h"
#include "python/src/def_op.h"

namespace mlx::python {

namespace {

std::pair<int, int> pair_of(const Ints& v, const char* op) {
  check(v.single || v.values.size() == 2, op, "Expected one int or two.");
  auto e = v.expanded(2);
  return {e[0], e[1]};
}

std::tuple<int, int, int> triple_of(const Ints& v, const char* op) {
  check(v.single || v.values.size() == 3, op, "Expected one int or three.");
  auto e = v.expanded(3);
  return {e[0], e[1], e[2]};
}

void bind_plain(nb::module_& m) {
  m.def("conv1d", &conv1d, "input"_a, "weight"_a, "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1,
        "groups"_a = 1, nb::kw_only(), "stream"_a = nb::none(),
        "Cross-correlation of (N, L, C) with a weight (O, K, C / groups).");
  m.def(
      "conv2d",
      [](const array& input, const array& weight, const Ints& stride, const Ints& padding,
         const Ints& dilation, int groups, StreamOrDevice s) {
        return conv2d(input, weight, pair_of(stride, "conv2d"), pair_of(padding, "conv2d"),
                      pair_of(dilation, "conv2d"), groups, s);
      },
      "input"_a, "weight"_a, "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1, "groups"_a = 1,
      nb::kw_only(), "stream"_a = nb::none(),
      "Cross-correlation of (N, H, W, C) with a weight (O, KH, KW, C / groups).");
  m.def(
      "conv3d",
      [](const array& input, const array& weight, const Ints& stride, const Ints& padding,
         const Ints& dilation, int groups, StreamOrDevice s) {
        return conv3d(input, weight, triple_of(stride, "conv3d"), triple_of(padding, "conv3d"),
                      triple_of(dilation, "conv3d"), groups, s);
      },
      "input"_a, "weight"_a, "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1, "groups"_a = 1,
      nb::kw_only(), "stream"_a = nb::none(),
      "Cross-correlation of (N, D, H, W, C) with a weight (O, KD, KH, KW, C / groups).");
}

void bind_transposed(nb::module_& m) {
  m.def("conv_transpose1d", &conv_transpose1d, "input"_a, "weight"_a, "stride"_a = 1,
        "padding"_a = 0, "dilation"_a = 1, "output_padding"_a = 0, "groups"_a = 1, nb::kw_only(),
        "stream"_a = nb::none(), "The transpose of `conv1d`: strides spread the input.");
  m.def(
      "conv_transpose2d",
      [](const array& input, const array& weight, const Ints& stride, const Ints& padding,
         const Ints& dilation, const Ints& output_padding, int groups, StreamOrDevice s) {
        constexpr const char* op = "conv_transpose2d";
        return conv_transpose2d(input, weight, pair_of(stride, op), pair_of(padding, op),
                                pair_of(dilation, op), pair_of(output_padding, op), groups, s);
      },
      "input"_a, "weight"_a, "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1,
      "output_padding"_a = 0, "groups"_a = 1, nb::kw_only(), "stream"_a = nb::none(),
      "The transpose of `conv2d`: strides spread the input.");
  m.def(
      "conv_transpose3d",
      [](const array& input, const array& weight, const Ints& stride, const Ints& padding,
         const Ints& dilation, const Ints& output_padding, int groups, StreamOrDevice s) {
        constexpr const char* op = "conv_transpose3d";
        return conv_transpose3d(input, weight, triple_of(stride, op), triple_of(padding, op),
                                triple_of(dilation, op), triple_of(output_padding, op), groups, s);
      },
      "input"_a, "weight"_a, "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1,
      "output_padding"_a = 0, "groups"_a = 1, nb::kw_only(), "stream"_a = nb::none(),
      "The transpose of `conv3d`: strides spread the input.");
}

/** Padding is one amount for both ends, or a pair of sequences for the low and the high ends. */
std::pair<std::vector<int>, std::vector<int>> ends_of(nb::handle padding, size_t n) {
  std::pair<std::vector<int>, std::vector<int>> ends;
  nb::detail::make_caster<Ints> ints;
  if (ints.from_python(padding, 0, nullptr)) {
    ends.first = static_cast<Ints&>(ints).expanded(n);
    ends.second = ends.first;
  } else if (!nb::try_cast(padding, ends)) {
    throw nb::type_error("conv_general() takes padding as ints or as a pair of lists of ints.");
  }
  return ends;
}

array convolve_general(const array& input, const array& weight, const Ints& stride,
                       nb::handle padding, const Ints& kernel_dilation, const Ints& input_dilation,
                       int groups, bool flip, StreamOrDevice s) {
  check(input.ndim() >= 3, "conv_general", "Expected an input of at least 3 axes, got shape ",
        input.shape(), ".");
  size_t n = input.ndim() - 2;
  auto [low, high] = ends_of(padding, n);
  return conv_general(input, weight, stride.expanded(n), low, high, kernel_dilation.expanded(n),
                      input_dilation.expanded(n), groups, flip, s);
}

/** The exact convolution of types that convolutions of nets do not have: each window of the longer
 *  one times the kernel. */
array convolve_exactly(const array& longer, const array& kernel, int low, int high,
                       StreamOrDevice s) {
  int n = kernel.shape(0);
  array padded =
      contiguous(pad(longer, {low, high}, array(0, longer.dtype()), "constant", s), false, s);
  array windows = as_strided(padded, {padded.shape(0) - n + 1, n}, {1, 1}, 0, s);
  return matmul(windows, slice(kernel, {n - 1}, {-n - 1}, {-1}, s), s);
}

/** NumPy's 1-d convolution. */
array convolve(const array& a, const array& v, const std::string& mode, StreamOrDevice s) {
  check(a.ndim() == 1 && v.ndim() == 1, "convolve", "Expected 1-d inputs, got shapes ", a.shape(),
        " and ", v.shape(), ".");
  check(a.size() > 0 && v.size() > 0, "convolve", "Inputs cannot be empty.");
  array longer = a.size() < v.size() ? v : a;
  array kernel = a.size() < v.size() ? a : v;
  int n = kernel.shape(0);
  int low = 0;
  int high = 0;
  if (mode == "full") {
    low = high = n - 1;
  } else if (mode == "same") {
    low = n / 2;
    high = n - 1 - low;
  } else {
    check(mode == "valid", "convolve", "Unknown mode '", mode, "'.");
  }
  Dtype t = result_type(a, v);
  if (t == bool_) {
    return astype(
        convolve_exactly(astype(longer, int32, s), astype(kernel, int32, s), low, high, s), bool_,
        s);
  }
  if (!issubdtype(t, floating)) {
    return convolve_exactly(astype(longer, t, s), astype(kernel, t, s), low, high, s);
  }
  array out = conv_general(reshape(astype(longer, t, s), {1, -1, 1}, s),
                           reshape(astype(kernel, t, s), {1, -1, 1}, s), std::vector<int>{1},
                           std::vector<int>{low}, std::vector<int>{high}, std::vector<int>{1},
                           std::vector<int>{1}, 1, true, s);
  return reshape(out, {-1}, s);
}

}  // namespace

void bind_conv(nb::module_& m) {
  bind_plain(m);
  bind_transposed(m);
  m.def("conv_general", &convolve_general, "input"_a, "weight"_a, "stride"_a = 1, "padding"_a = 0,
        "kernel_dilation"_a = 1, "input_dilation"_a = 1, "groups"_a = 1, "flip"_a = false,
        nb::kw_only(), "stream"_a = nb::none(),
        "Cross-correlation in any number of dimensions, a true convolution with `flip`. Padding\n"
        "may be a pair of lists: for the low and for the high ends.");
  m.def("convolve", &convolve, "a"_a, "v"_a, "mode"_a = "full", nb::kw_only(),
        "stream"_a = nb::none(),
        "The discrete convolution of two 1-d arrays: 'full', 'same' or 'valid'. It is exact for\n"
        "integers, which wrap as in products.");
}

}  // namespace mlx::python
