// Q4_0, Q4_1 and Q8_0 keep their weights packed, as quantized_matmul takes them; all others become
// float16, computed in float32.
#include "mlx/io/gguf_blocks.h"

#include <algorithm>

#include "mlx/io/gguf_fields.h"

namespace mlx::core::io {

namespace {

using Parts = std::vector<BlockPart>;

Parts decode_q4_0(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array d = b.half(0);
  array zero = multiply(d, array(-8.0f), s);
  return b.packed_as(b.words(b.paired(b.nibbles(b.bytes(2, 16), 16)), uint32), d, zero);
}

Parts decode_q4_1(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  return b.packed_as(b.words(b.paired(b.nibbles(b.bytes(4, 16), 16)), uint32), b.half(0),
                     b.half(2));
}

Parts decode_q8_0(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array d = b.half(0);
  array zero = multiply(d, array(-128.0f), s);
  array unsigned_bytes = bitwise_xor(b.bytes(2, 32), array(128, uint8), s);
  return b.packed_as(b.words(unsigned_bytes, uint32), d, zero);
}

/** Five bits: the fifth of all 32 elements from `high`, the others from there on. */
array five_bits(const Blocks& b, int high) {
  array low = b.nibbles(b.bytes(high + 4, 16), 16);
  return b.joined(low, b.eight_bits(b.bytes(high, 4), 1), 4);
}

Parts decode_q5_0(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  return b.decoded(b.scaled(b.minus(five_bits(b, 2), 16), b.half(0)));
}

Parts decode_q5_1(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  return b.decoded(add(b.scaled(five_bits(b, 4), b.half(0)), b.half(2), s));
}

Parts decode_q2_k(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array scales = b.bits(b.bytes(0, 16), 16, {0}, 15), mins = b.bits(b.bytes(0, 16), 16, {4}, 15);
  array q = b.bits(b.bytes(16, 64), 32, {0, 2, 4, 6}, 3);
  array values = b.scaled(q, b.scaled(scales, b.half(80)));
  return b.decoded(b.shifted(values, b.scaled(mins, b.half(82))));
}

Parts decode_q3_k(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array low = b.bits(b.bytes(32, 64), 32, {0, 2, 4, 6}, 3);
  array q = b.minus(b.joined(low, b.eight_bits(b.bytes(0, 32), 32), 2), 4);
  array scales =
      b.joined(b.nibbles(b.bytes(96, 8), 8), b.bits(b.bytes(104, 4), 4, {0, 2, 4, 6}, 3), 4);
  return b.decoded(b.scaled(q, b.scaled(b.minus(scales, 32), b.half(108))));
}

/** The eight scales and the eight minima of Q4_K and Q5_K, of six bits each in 12 bytes. */
std::pair<array, array> six_bit_pairs(const Blocks& b) {
  auto low_six = [&](int at) { return b.bits(b.bytes(at, 4), 4, {0}, 63); };
  auto high_two = [&](int at) { return b.bits(b.bytes(at, 4), 4, {6}, 3); };
  auto nibble = [&](int shift) { return b.bits(b.bytes(12, 4), 4, {shift}, 15); };
  array scales = concatenate({low_six(4), b.joined(nibble(0), high_two(4), 4)}, 1, b.s);
  array mins = concatenate({low_six(8), b.joined(nibble(4), high_two(8), 4)}, 1, b.s);
  return {b.scaled(scales, b.half(0)), b.scaled(mins, b.half(2))};
}

Parts decode_q4_k(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  auto [scales, mins] = six_bit_pairs(b);
  return b.decoded(b.shifted(b.scaled(b.nibbles(b.bytes(16, 128), 32), scales), mins));
}

Parts decode_q5_k(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  auto [scales, mins] = six_bit_pairs(b);
  array q = b.joined(b.nibbles(b.bytes(48, 128), 32), b.eight_bits(b.bytes(16, 32), 32), 4);
  return b.decoded(b.shifted(b.scaled(q, scales), mins));
}

Parts decode_q6_k(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array q =
      b.joined(b.nibbles(b.bytes(0, 128), 64), b.bits(b.bytes(128, 64), 32, {0, 2, 4, 6}, 3), 4);
  array scales = view(b.bytes(192, 16), int8, s);
  return b.decoded(b.scaled(b.minus(q, 32), b.scaled(scales, b.half(208))));
}

/** The sixteen steps of the IQ4 types. */
array iq4_values(const Blocks& b, const array& four_bits) {
  static constexpr float steps[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                    1,    13,   25,  38,  53,  69,  89,  113};
  return take(array(steps, {16}), four_bits, b.s);
}

Parts decode_iq4_nl(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  return b.decoded(b.scaled(iq4_values(b, b.nibbles(b.bytes(2, 16), 16)), b.half(0)));
}

Parts decode_iq4_xs(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array scales =
      b.joined(b.nibbles(b.bytes(4, 4), 1), b.bits(b.bytes(2, 2), 1, {0, 2, 4, 6}, 3), 4);
  array values = iq4_values(b, b.nibbles(b.bytes(8, 128), 16));
  return b.decoded(b.scaled(values, b.scaled(b.minus(scales, 32), b.half(0))));
}

array fp4_values(const Blocks& b, const array& four_bits) {
  static constexpr float values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6};
  return take(array(values, {16}), four_bits, b.s);
}

Parts decode_mxfp4(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array exponent = astype(b.bytes(0, 1), uint32, s);
  array power = left_shift(exponent, array(23, uint32), s);
  array smallest = array(uint32_t{1} << 22, uint32);  // 2^-127 is subnormal
  array scale = view(where(equal(exponent, array(0, uint32), s), smallest, power, s), float32, s);
  return b.decoded(b.scaled(fp4_values(b, b.nibbles(b.bytes(1, 16), 16)), scale));
}

/** Scales of eight bits without a sign, of which the largest number stands for zero. */
Parts decode_nvfp4(const array& blocks, StreamOrDevice s) {
  Blocks b(blocks, s);
  array none(127, uint8), bits = bitwise_and(b.bytes(0, 4), none, s);
  array scales = where(equal(bits, none, s), array(0.0f), from_fp8(bits, float32, s), s);
  return b.decoded(b.scaled(fp4_values(b, b.nibbles(b.bytes(4, 32), 8)), scales));
}

constexpr BlockFormat formats[] = {
    {2, "Q4_0", 32, 18, decode_q4_0},      {3, "Q4_1", 32, 20, decode_q4_1},
    {6, "Q5_0", 32, 22, decode_q5_0},      {7, "Q5_1", 32, 24, decode_q5_1},
    {8, "Q8_0", 32, 34, decode_q8_0},      {10, "Q2_K", 256, 84, decode_q2_k},
    {11, "Q3_K", 256, 110, decode_q3_k},   {12, "Q4_K", 256, 144, decode_q4_k},
    {13, "Q5_K", 256, 176, decode_q5_k},   {14, "Q6_K", 256, 210, decode_q6_k},
    {20, "IQ4_NL", 32, 18, decode_iq4_nl}, {23, "IQ4_XS", 256, 136, decode_iq4_xs},
    {39, "MXFP4", 32, 17, decode_mxfp4},   {40, "NVFP4", 64, 36, decode_nvfp4},
};

}  // namespace

const BlockFormat* block_format(uint32_t type) {
  auto found = std::find_if(std::begin(formats), std::end(formats),
                            [&](const BlockFormat& format) { return format.type == type; });
  return found == std::end(formats) ? grid_format(type) : found;
}

}  // namespace mlx::core::io
