// How quantised weights become numbers: eight codes at a time, whose bits follow each other from
// the lowest of a word on. The first four and the last four share registers, in pairs (i, i + 4),
// so that one mask serves two codes; tensor cores do not mind the order if both operands agree on
// it.
#pragma once

#include "mlx/backend/cuda/kernels/half_pairs.h"
#include "mlx/backend/cuda/kernels/values.h"
#include "mlx/kernels/quantized.h"

namespace mlx::core::kernels {

enum class QuantizedMode { affine, mxfp4, mxfp8, nvfp4 };

template <QuantizedMode mode_, int bits_, int group_>
struct QuantizedFormat {
  static constexpr QuantizedMode mode = mode_;
  static constexpr int bits = bits_, group = group_;
  static constexpr bool affine = mode == QuantizedMode::affine;
};

/** The distance of rows of codes in shared memory at which lanes of eight rows read in different
 *  banks. */
MLX_FN constexpr int code_pitch(int bits, int bytes) {
  return bits == 8 ? bytes + 32 : ((bytes + 15) / 16 | 1) * 16;
}

/** Codes 0 .. 3 and 4 .. 7, each from the lowest bit on. Bits above them are of no meaning. */
struct EightCodes {
  uint32_t first, last;
};

/** The eight codes number `eight` of a row that begins at a multiple of 16 bytes. */
template <int bits>
MLX_FN EightCodes load_codes(const uint32_t* row, int eight) {
  if constexpr (bits == 8) {
    uint2 words = reinterpret_cast<const uint2*>(row)[eight];
    return {words.x, words.y};
  } else if constexpr (bits == 4) {
    uint32_t word = row[eight];
    return {word, word >> 16};
  } else if constexpr (bits == 2) {
    uint32_t word = reinterpret_cast<const uint16_t*>(row)[eight];
    return {word, word >> 8};
  } else if constexpr (bits == 1) {
    uint32_t word = reinterpret_cast<const uint8_t*>(row)[eight];
    return {word, word >> 4};
  } else {
    int word = eight * bits / 4, shift = eight * bits % 4 * 8;
    bool ends = bits == 3 && eight % 4 == 3;  // what follows may not exist
    uint32_t low = row[word], high = row[word + !ends];
    uint32_t codes = __funnelshift_r(low, high, shift);
    return {codes, __funnelshift_r(codes, high >> shift, 4 * bits)};
  }
}

/** Codes i and i + 4, each in the lowest bits of a half. */
template <int bits>
MLX_FN uint32_t code_pair(EightCodes codes, int i) {
  constexpr int each = 16 / bits;  // of a half
  int skipped = i / each * each * bits;
  uint32_t both = codes.first;  // of four bits each, all eight
  if constexpr (bits != 4) both = lower_halves(codes.first >> skipped, codes.last >> skipped);
  return both >> (i % each * bits);
}

template <typename T>
MLX_FN constexpr uint32_t pair_of_ones() {
  return is_same<T, Half> ? 0x3c003c00u : 0x3f803f80u;
}

template <int bits>
inline constexpr uint32_t code_masks = ((1u << bits) - 1) * 0x10001u;

/** Unsigned integers of up to seven bits as the last digits of bfloats: digit_offset more. */
constexpr float digit_offset = 128;
template <int bits>
MLX_FN uint32_t digit_pair(uint32_t codes) {
  return masked_with(codes, code_masks<bits>, 0x43004300u);
}

/** Unsigned integers of `bits` bits, exactly: as digits behind a power of two that then goes. */
template <typename T, int bits>
MLX_FN uint32_t integer_pair(uint32_t codes) {
  constexpr uint32_t ones = pair_of_ones<T>();
  if constexpr (is_same<T, Half>) {
    return fma_pair<T>(masked_with(codes, code_masks<bits>, 0x64006400u), ones, 0xe400e400u);
  } else if constexpr (bits < 8) {
    return fma_pair<T>(digit_pair<bits>(codes), ones, 0xc300c300u);
  } else {  // seven digits are too few: 2048 + the upper half, 128 + the lower half
    uint32_t low = masked_with(codes, 0x000f000fu, 0x43004300u);
    uint32_t high = masked_with(codes >> 4, 0x000f000fu, 0x45004500u);
    return fma_pair<T>(low, ones, fma_pair<T>(high, ones, 0xc508c508u));  // 2176
  }
}

/** Bits of small floats at the place that they have in T, times 2^-small_float_exponent. */
template <typename T, int bits>
MLX_FN uint32_t small_float_pair(uint32_t codes) {
  constexpr int digits = is_same<T, Half> ? 10 : 7, own_digits = bits == 4 ? 1 : 3;
  constexpr uint32_t signs = 0x80008000u, sizes = code_masks<bits - 1>;
  uint32_t pair =
      masked_with(codes << (16 - bits), signs, (codes & sizes) << (digits - own_digits));
  if constexpr (bits == 8) {  // all ones are no number
    uint32_t none = ((codes & sizes) + 0x00010001u) & 0x00800080u;
    pair |= none * 0xffu;
  }
  return pair;
}
template <typename T, int bits>
MLX_FN constexpr int small_float_exponent() {
  return (is_same<T, Half> ? 15 : 127) - (bits == 4 ? 1 : 7);
}

/** 2^exponent twice, for exponents of normal numbers of T. */
template <typename T>
MLX_FN constexpr uint32_t pair_of_powers(int exponent) {
  uint32_t power = is_same<T, Half> ? static_cast<uint32_t>(exponent + 15) << 10
                                    : static_cast<uint32_t>(exponent + 127) << 7;
  return power | power << 16;
}

constexpr uint32_t pair_of_zeros = 0x80008000u;  // negative: they leave the sign of a zero

/** What two codes stand for but for the scale and bias of their group, exactly. */
template <typename T, typename F>
MLX_FN uint32_t decoded_pair(uint32_t codes) {
  if constexpr (F::affine) {
    return integer_pair<T, F::bits>(codes);
  } else {
    constexpr uint32_t unit = pair_of_powers<T>(small_float_exponent<T, F::bits>());
    return fma_pair<T>(small_float_pair<T, F::bits>(codes), unit, pair_of_zeros);
  }
}

/** Of eight codes of two rows each the pairs i and i + 1 as a left operand of the tensor cores, as
 *  what they stand for or as digits. */
template <typename T, typename F, bool digits>
MLX_FN void code_pairs(const EightCodes (&rows)[2], int i, uint32_t (&a)[4]) {
#pragma unroll
  for (int j = 0; j < 4; j++) {
    uint32_t pair = code_pair<F::bits>(rows[j % 2], i + j / 2);
    a[j] = digits ? digit_pair<F::bits>(pair) : decoded_pair<T, F>(pair);
  }
}

/** How scales lie in memory: numbers of T for affine formats, else bytes. */
template <typename T, typename F>
using StoredScale = choose_type<F::affine, T, uint8_t>;

template <typename T, typename F>
MLX_FN float scale_of(StoredScale<T, F> stored) {
  if constexpr (F::affine) {
    return computed(stored);
  } else if constexpr (F::mode == QuantizedMode::nvfp4) {
    return from_fp8(stored);
  } else {
    return decode_e8m0(stored);
  }
}

/** The scale of a group, and its bias, for two codes at once. */
template <typename T, typename F>
struct PairScale {
  uint32_t by, add;

  MLX_FN PairScale(StoredScale<T, F> scale, T bias) {
    if constexpr (F::affine) {
      by = twice(scale.bits);
      add = twice(bias.bits);
    } else if constexpr (F::mode == QuantizedMode::nvfp4) {
      by = pair_of_powers<T>(small_float_exponent<T, F::bits>());
      add = twice(rounded<T>(from_fp8(scale)).bits);
    } else if constexpr (is_same<T, Half>) {  // may need the powers of two normal numbers
      int exponent = int{scale} - 127 + small_float_exponent<T, F::bits>();
      int first = clamped(exponent);
      by = pair_of_powers<T>(first);
      add = scale == 255 ? 0x7c007c00u : pair_of_powers<T>(clamped(exponent - first));
    } else {
      by = pair_of_powers<T>(small_float_exponent<T, F::bits>());
      add = twice(static_cast<uint16_t>(scale == 0 ? 0x40 : scale << 7));
    }
  }

  /** The two numbers, rounded once in affine formats, else exact where T has them. */
  MLX_FN uint32_t apply(uint32_t codes) const {
    if constexpr (F::affine) {
      return fma_pair<T>(integer_pair<T, F::bits>(codes), by, add);
    } else {
      uint32_t numbers = fma_pair<T>(small_float_pair<T, F::bits>(codes), by, pair_of_zeros);
      return fma_pair<T>(numbers, add, pair_of_zeros);
    }
  }

 private:
  MLX_FN static uint32_t twice(uint16_t bits) { return bits | uint32_t{bits} << 16; }
  MLX_FN static int clamped(int exponent) {
    return exponent < -14 ? -14 : exponent > 15 ? 15 : exponent;
  }
};

/** What a global scale multiplies with. */
MLX_FN float global_factor(float scale) { return scale / (largest_fp4 * largest_fp8); }

}  // namespace mlx::core::kernels
