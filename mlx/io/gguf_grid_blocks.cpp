// The IQ types of less than four bits, whose elements are rows of a table, and the ternary types.
// All become float16. Their scales are odd numbers times a power of two, so float32 holds every
// product exactly.
#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/io/gguf_fields.h"
#include "mlx/io/gguf_tables.h"

namespace mlx::core::io {

namespace {

using Parts = std::vector<BlockPart>;

/** The rows of a table side by side. */
array looked_up(const Blocks& b, const char* table, const array& indices) {
  const GgufTable* found = gguf_table(table);
  internal_check(found != nullptr, "a table is missing");
  array rows = take(unpacked(*found), indices, 0, b.s);
  return reshape(rows, {indices.shape(0), indices.shape(1) * found->width}, b.s);
}

/** Indices of nine bits and more: their lowest eight, and those above. */
array wide(const Blocks& b, const array& low, const array& high) {
  return b.joined(astype(low, uint16, b.s), high, 8);
}

/** values, negative where a bit of `signs` is set. */
array with_signs(const Blocks& b, const array& values, const array& signs) {
  array bits = b.eight_bits(signs, 1);
  return where(equal(bits, array(0, uint8), b.s), values, negative(values, b.s), b.s);
}

/** (2 scales + 1) · d · unit, which multiplies the values. */
Parts with_odd_scales(const Blocks& b, const array& values, const array& scales, const array& d,
                      float unit) {
  array odd = add(multiply(astype(scales, float32, b.s), array(2.0f), b.s), array(1.0f), b.s);
  return b.decoded(b.scaled(values, b.scaled(multiply(odd, array(unit), b.s), d)));
}

/** Words of four indices of signs, seven bits each, and a scale above. */
array signs_of(const Blocks& b, const array& words) {
  return looked_up(b, "signs", b.bits(words, 1, {0, 7, 14, 21}, 127));
}

Parts decode_iq2_xxs(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array rows = reshape(b.bytes(2, 64), {-1, 8, 8}, s);
  auto part = [&](int from) {
    return reshape(slice(rows, {0, 0, from}, {rows.shape(0), 8, from + 4}, s), {-1, 32}, s);
  };
  array words = b.words(part(4), uint32);
  array values = with_signs(b, looked_up(b, "IQ2_XXS", part(0)), signs_of(b, words));
  return with_odd_scales(b, values, b.bits(words, 1, {28}, 15), b.half(0), 0.125f);
}

Parts decode_iq2_xs(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array words = b.words(b.bytes(2, 64), uint16);
  array signs = looked_up(b, "signs", b.bits(words, 1, {9}, 127));
  array values = with_signs(b, looked_up(b, "IQ2_XS", b.bits(words, 1, {0}, 511)), signs);
  return with_odd_scales(b, values, b.nibbles(b.bytes(66, 8), 1), b.half(0), 0.125f);
}

Parts decode_iq2_s(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array indices = wide(b, b.bytes(2, 32), b.bits(b.bytes(66, 8), 1, {0, 2, 4, 6}, 3));
  array values = with_signs(b, looked_up(b, "IQ2_S", indices), b.bytes(34, 32));
  return with_odd_scales(b, values, b.nibbles(b.bytes(74, 8), 1), b.half(0), 0.125f);
}

Parts decode_iq3_xxs(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array words = b.words(b.bytes(66, 32), uint32);
  array values = with_signs(b, looked_up(b, "IQ3_XXS", b.bytes(2, 64)), signs_of(b, words));
  return with_odd_scales(b, values, b.bits(words, 1, {28}, 15), b.half(0), 0.25f);
}

Parts decode_iq3_s(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array indices = wide(b, b.bytes(2, 64), b.eight_bits(b.bytes(66, 8), 1));
  array values = with_signs(b, looked_up(b, "IQ3_S", indices), b.bytes(74, 32));
  return with_odd_scales(b, values, b.nibbles(b.bytes(106, 4), 1), b.half(0), 1.0f);
}

/** Rows of IQ1's table, moved by an eighth: down where a bit is set. */
array moved(const Blocks& b, const array& indices, const array& down) {
  array by = subtract(multiply(astype(down, float32, b.s), array(0.25f), b.s), array(0.125f), b.s);
  return b.shifted(astype(looked_up(b, "IQ1_S", indices), float32, b.s), by);
}

Parts decode_iq1_s(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array words = b.words(b.bytes(34, 16), uint16);
  array indices = wide(b, b.bytes(2, 32), b.bits(words, 1, {0, 3, 6, 9}, 7));
  array values = moved(b, indices, b.bits(words, 1, {15}, 1));
  return with_odd_scales(b, values, b.bits(words, 1, {12}, 7), b.half(0), 1.0f);
}

/** The four bits at the top of each of four words are those of the block's scale. */
Parts decode_iq1_m(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array high = b.bytes(32, 16), words = b.words(b.bytes(48, 8), uint16);
  array indices = wide(b, b.bytes(0, 32), b.bits(high, 1, {0, 4}, 7));
  array values = moved(b, indices, b.bits(high, 1, {3, 7}, 1));
  array top = b.paired(astype(b.bits(words, 1, {12}, 15), uint8, s));
  array d = astype(b.words(top, float16), float32, s);
  return with_odd_scales(b, values, b.bits(words, 1, {0, 3, 6, 9}, 7), d, 1.0f);
}

/** The first `digits` of the five ternary digits of each byte, which is their fraction of 256. */
array ternary(const Blocks& b, const array& bytes, int digits) {
  static constexpr uint8_t powers[] = {1, 3, 9, 27, 81};
  array by(powers, {digits, 1}, uint8);
  array fractions = multiply(expand_dims(bytes, 1, b.s), by, b.s);  // what is whole wraps away
  array tripled = multiply(astype(fractions, uint16, b.s), array(3, uint16), b.s);
  array whole = right_shift(tripled, array(8, uint16), b.s);
  return reshape(whole, {bytes.shape(0), bytes.shape(1) * digits}, b.s);
}

Parts decode_tq1_0(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array digits = concatenate({ternary(b, b.bytes(0, 32), 5), ternary(b, b.bytes(32, 16), 5),
                              ternary(b, b.bytes(48, 4), 4)},
                             1, s);
  return b.decoded(b.scaled(b.minus(digits, 1), b.half(52)));
}

Parts decode_tq2_0(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array q = b.bits(b.bytes(0, 64), 32, {0, 2, 4, 6}, 3);
  return b.decoded(b.scaled(b.minus(q, 1), b.half(64)));
}

constexpr BlockFormat formats[] = {
    {16, "IQ2_XXS", 256, 66, decode_iq2_xxs, "IQ2_XXS"},
    {17, "IQ2_XS", 256, 74, decode_iq2_xs, "IQ2_XS"},
    {18, "IQ3_XXS", 256, 98, decode_iq3_xxs, "IQ3_XXS"},
    {19, "IQ1_S", 256, 50, decode_iq1_s, "IQ1_S"},
    {21, "IQ3_S", 256, 110, decode_iq3_s, "IQ3_S"},
    {22, "IQ2_S", 256, 82, decode_iq2_s, "IQ2_S"},
    {29, "IQ1_M", 256, 56, decode_iq1_m, "IQ1_S"},
    {34, "TQ1_0", 256, 54, decode_tq1_0},
    {35, "TQ2_0", 256, 66, decode_tq2_0},
};

}  // namespace

const BlockFormat* grid_format(uint32_t type) {
  auto found = std::find_if(std::begin(formats), std::end(formats),
                            [&](const BlockFormat& format) { return format.type == type; });
  return found == std::end(formats) ? nullptr : found;
}

}  // namespace mlx::core::io
