// Quantisation by element-wise operations and reductions.
#include "mlx/primitives/quantized_plain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "mlx/ops.h"

namespace mlx::core {

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float smallest_step = 1e-7f;  // of an affine group
constexpr float largest_fp4 = 6.0f, largest_fp8 = 448.0f;

array number(float x) { return array(x, float32); }
array word(uint32_t x) { return array(x, uint32); }
array words_of(const std::vector<uint32_t>& values, Shape shape) {
  return array(values.begin(), std::move(shape), uint32);
}

/** Values repeat their places in words after so many: `values` in `words`. */
struct Period {
  int values, words;
  explicit Period(int bits) : values(32 / std::gcd(32, bits)), words(bits / std::gcd(32, bits)) {}
};

array split_last(const array& x, int inner, Stream s) {
  return unflatten(x, -1, {x.shape(-1) / inner, inner}, s);
}

array join_last(const array& x, Stream s) { return flatten(x, -2, -1, s); }

/** A value for each group along the last axis, at every value of the group. */
array to_values(const array& x, Stream s) { return expand_dims(x, -1, s); }

/** What scales of groups are multiplied by: the largest value of the matrix, where a global scale
 *  stands for, over the largest number that a scale times a value can be. */
array global_factor(const array& global_scale, Stream s) {
  return divide(expand_dims(global_scale, std::vector<int>{-2, -1}, s),
                number(largest_fp4 * largest_fp8), s);
}

std::vector<array> affine_quantize(const QuantizedFormat& format, const array& w, Stream s) {
  array x = split_last(astype(w, float32, s), format.group_size, s);
  array steps = number(static_cast<float>((1 << format.bits) - 1));
  array nan = isnan(x, s);
  array high = max(where(nan, number(-infinity), x, s), -1, false, s);
  array low = min(where(nan, number(infinity), x, s), -1, false, s);
  array scale = maximum(divide(subtract(high, low, s), steps, s), number(smallest_step), s);
  array bias = low;
  if (format.bits > 1) {
    // The value that is farthest from zero is met exactly, and so is zero.
    array below = greater(abs(low, s), abs(high, s), s);
    array edge = where(below, low, high, s);
    scale = where(below, scale, mlx::core::negative(scale, s), s);
    array at = round(divide(edge, scale, s), s);
    array some = not_equal(at, number(0), s);
    scale = where(some, divide(edge, at, s), scale, s);
    bias = where(some, edge, number(0), s);
  }
  array code = round(divide(subtract(x, to_values(bias, s), s), to_values(scale, s), s), s);
  code = where(isnan(code, s), number(0), code, s);
  code = minimum(maximum(code, number(0), s), steps, s);
  array packed = pack_values(join_last(astype(code, uint32, s), s), format.bits, s);
  return {packed, astype(scale, w.dtype(), s), astype(bias, w.dtype(), s)};
}

/** Powers of two as their exponents: the smallest that is not below x, for x >= 0. Zero is taken
 *  for one, which is as good as any. */
array encode_e8m0(const array& x, Stream s) {
  array bits = view(x, uint32, s);
  array exponent = right_shift(bits, word(23), s);
  array half = where(equal(exponent, word(0), s), word(0x400000), word(0), s);
  array above = greater(bitwise_and(bits, word(0x7fffff), s), half, s);
  array code = minimum(add(exponent, astype(above, uint32, s), s), word(255), s);
  return astype(where(equal(x, number(0), s), word(127), code, s), uint8, s);
}

array decode_e8m0(const array& code, Stream s) {
  array exponent = astype(code, uint32, s);
  array bits =
      where(equal(exponent, word(0), s), word(0x400000), left_shift(exponent, word(23), s), s);
  return view(bits, float32, s);
}

/** The nearest of the magnitudes 0, 0.5, 1, 1.5, 2, 3, 4 and 6, of two equally near ones the
 *  smaller, with the sign in the fourth bit; NaN is 0. */
array encode_fp4(const array& x, Stream s) {
  array magnitude = abs(x, s), code = word(0);
  for (float middle : {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f}) {
    code = add(code, astype(greater(magnitude, number(middle), s), uint32, s), s);
  }
  array negative = logical_and(less(x, number(0), s), not_equal(code, word(0), s), s);
  return bitwise_or(code, where(negative, word(8), word(0), s), s);
}

array decode_fp4(const array& code, Stream s) {
  constexpr float values[] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                              -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
  return take(array(std::begin(values), {16}, float32), code, s);
}

/** Scales of groups as factors, without a global scale. */
array decode_scales(const QuantizedFormat& format, const array& scales, Stream s) {
  return format.mode == QuantizationMode::Nvfp4 ? from_fp8(scales, float32, s)
                                                : decode_e8m0(scales, s);
}

/** Quotients by the group's own scale are rounded to w's dtype, those by the global scale are not.
 */
std::vector<array> float_quantize(const QuantizedFormat& format, const array& w,
                                  const array* global_scale, Stream s) {
  array x = split_last(w, format.group_size, s);
  array largest = max(abs(x, s), -1, false, s);
  // A group with a value that is not finite is NaN as a whole.
  largest = where(isfinite(largest, s), largest, array(std::nanf(""), w.dtype()), s);
  array limit(format.bits == 4 ? largest_fp4 : largest_fp8, w.dtype());
  array ratio = astype(divide(largest, limit, s), float32, s);
  if (global_scale) ratio = divide(ratio, global_factor(*global_scale, s), s);
  array scales = format.mode == QuantizationMode::Nvfp4 ? to_fp8(ratio, s) : encode_e8m0(ratio, s);
  array factor = to_values(astype(decode_scales(format, scales, s), w.dtype(), s), s);
  array zero(0.0f, w.dtype());
  array unit = astype(where(equal(factor, zero, s), zero, divide(x, factor, s), s), float32, s);
  if (global_scale) unit = divide(unit, to_values(global_factor(*global_scale, s), s), s);
  array code = format.bits == 4 ? encode_fp4(unit, s) : astype(to_fp8(unit, s), uint32, s);
  return {pack_values(join_last(code, s), format.bits, s), scales};
}

}  // namespace

array unpack_values(const array& packed, int bits, Stream s) {
  Period period(bits);
  std::vector<uint32_t> word_of(period.values), next(period.values), shift(period.values),
      rest(period.values);
  for (int i = 0; i < period.values; i++) {
    word_of[i] = i * bits / 32;
    next[i] = std::min<uint32_t>(word_of[i] + 1, period.words - 1);
    shift[i] = i * bits % 32;
    rest[i] = 31 - shift[i];
  }
  Shape row{period.values};
  array words = split_last(packed, period.words, s);
  array low = period.words == 1 ? words : take(words, words_of(word_of, row), -1, s);
  array values = right_shift(low, words_of(shift, row), s);
  if (period.words > 1) {
    array high = left_shift(take(words, words_of(next, row), -1, s), word(1), s);
    values = bitwise_or(values, left_shift(high, words_of(rest, row), s), s);
  }
  return join_last(bitwise_and(values, word((1u << bits) - 1), s), s);
}

array pack_values(const array& values, int bits, Stream s) {
  Period period(bits);
  // Value i begins in word j if it is shifted to the left, or ends there if it is to the right.
  size_t places = static_cast<size_t>(period.values) * period.words;
  std::vector<uint32_t> left(places), right(places), begins(places), ends(places);
  for (int i = 0; i < period.values; i++) {
    for (int j = 0; j < period.words; j++) {
      int at = i * bits - 32 * j;
      size_t k = static_cast<size_t>(i) * period.words + j;
      begins[k] = at >= 0 && at < 32;
      ends[k] = at < 0 && at + bits > 0;
      left[k] = begins[k] ? at : 0;
      right[k] = ends[k] ? -at : 0;
    }
  }
  Shape table{period.values, period.words};
  array each = expand_dims(split_last(values, period.values, s), -1, s);
  array first = multiply(left_shift(each, words_of(left, table), s), words_of(begins, table), s);
  array second = multiply(right_shift(each, words_of(right, table), s), words_of(ends, table), s);
  return join_last(sum(add(first, second, s), -2, false, s), s);
}

std::vector<array> plain_quantize(const QuantizedFormat& format, const array& w,
                                  const array* global_scale, Stream s) {
  return format.has_biases() ? affine_quantize(format, w, s)
                             : float_quantize(format, w, global_scale, s);
}

array plain_dequantize(const QuantizedFormat& format, Dtype dtype, const QuantizedWeight& weight,
                       Stream s) {
  array code = split_last(unpack_values(weight.packed, format.bits, s), format.group_size, s);
  if (format.has_biases()) {
    array scaled = multiply(astype(code, weight.scales.dtype(), s), to_values(weight.scales, s), s);
    return astype(join_last(add(scaled, to_values(*weight.biases, s), s), s), dtype, s);
  }
  array unit =
      format.bits == 4 ? decode_fp4(code, s) : from_fp8(astype(code, uint8, s), float32, s);
  array factor = decode_scales(format, weight.scales, s);
  if (weight.global_scale) factor = multiply(factor, global_factor(*weight.global_scale, s), s);
  return astype(join_last(multiply(unit, to_values(factor, s), s), s), dtype, s);
}

}  // namespace mlx::core
