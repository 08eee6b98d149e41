// Conversions between element types, each defined for every value: floats outside an integer's
// range give what x86 gives (the smallest integer, or the low bits for narrow types), never
// undefined behaviour. Half types round to nearest even, once.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {

MLX_FN float to_float(BFloat x) { return float_of(static_cast<uint32_t>(x.bits) << 16); }

MLX_FN BFloat to_bfloat(float x) {
  uint32_t bits = to_bits(x);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  uint32_t quiet = (bits >> 16) | 0x40u;
  return {static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded)};
}

MLX_FN float to_float(Half x) {
  uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  uint32_t shifted = static_cast<uint32_t>(x.bits & 0x7fffu) << 13;
  uint32_t exponent = shifted & 0x0f800000u;
  uint32_t normal = shifted + 0x38000000u;
  uint32_t special = shifted + 0x70000000u;
  // Subnormals: put the bits below an implicit one and subtract it.
  uint32_t subnormal = to_bits(float_of(shifted + 0x38800000u) - 6.103515625e-05f);
  uint32_t magnitude = exponent == 0x0f800000u ? special : (exponent == 0 ? subnormal : normal);
  return float_of(sign | magnitude);
}

MLX_FN Half to_half(float x) {
  uint32_t bits = to_bits(x);
  uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t m = bits & 0x7fffffffu;
  uint32_t normal = (m - 0x38000000u + 0xfffu + ((m >> 13) & 1u)) >> 13;
  uint32_t subnormal = to_bits(float_of(m < 0x38800000u ? m : 0u) + 0.5f) - 0x3f000000u;
  uint32_t r = m < 0x38800000u ? subnormal : normal;
  r = m >= 0x477ff000u ? 0x7c00u : r;
  r = m > 0x7f800000u ? (0x7e00u | ((m >> 13) & 0x3ffu)) : r;
  return {static_cast<uint16_t>(sign | r)};
}

/** double to float with the last bit made odd when inexact: rounding once more to a half type then
 *  gives the correctly rounded result. */
MLX_FN float round_to_odd(double x) {
  float f = static_cast<float>(x);
  double back = f;
  uint32_t bits = to_bits(f);
  uint32_t step = fabs(back) < fabs(x) ? 1u : 0xffffffffu;
  bool inexact = back != x && (bits & 1u) == 0u && is_finite(f);
  return float_of(inexact ? bits + step : bits);
}

/** Float (or double) to any integer type. */
template <typename To, typename From>
MLX_FN To to_integer(From x) {
  constexpr From two31 = static_cast<From>(2147483648.0);
  constexpr From two63 = static_cast<From>(9223372036854775808.0);
  if constexpr (sizeof(To) < 4 || is_same<To, int32_t>) {
    bool fits = x >= -two31 && x < two31;
    int32_t i = fits ? static_cast<int32_t>(fits ? x : From(0)) : INT32_MIN;
    return static_cast<To>(i);
  } else {
    bool fits = x >= -two63 && x < two63;
    int64_t low = fits ? static_cast<int64_t>(fits ? x : From(0)) : INT64_MIN;
    if constexpr (is_same<To, uint64_t>) {
      bool upper = x >= two63 && x < From(2) * two63;
      uint64_t high = static_cast<uint64_t>(static_cast<int64_t>(upper ? x - two63 : From(0)));
      return upper ? high + (uint64_t(1) << 63) : static_cast<uint64_t>(low);
    } else {
      return static_cast<To>(low);
    }
  }
}

/** The conversion of astype. Complex to real keeps the real part; to bool asks for non-zero. */
template <typename To, typename From>
MLX_FN To convert(From x) {
  if constexpr (is_same<To, From>) {
    return x;
  } else if constexpr (is_complex<From>) {
    if constexpr (is_bool<To>) {
      return x.re != 0 || x.im != 0;
    } else if constexpr (is_complex<To>) {
      return {static_cast<RealOf<To>>(x.re), static_cast<RealOf<To>>(x.im)};
    } else {
      return convert<To>(x.re);
    }
  } else if constexpr (is_complex<To>) {
    return {convert<RealOf<To>>(x), 0};
  } else if constexpr (is_bool<To>) {
    return x != From(0);
  } else if constexpr (is_integer<To> && is_float<From>) {
    return to_integer<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

/** float to the 8-bit format of 4 exponent and 3 mantissa bits (no infinity; NaN is 0x7f), to
 *  nearest even, saturating at 448. */
MLX_FN uint8_t to_fp8(float x) {
  uint32_t bits = to_bits(x);
  uint32_t sign = (bits >> 24) & 0x80u;
  uint32_t m = bits & 0x7fffffffu;
  bool nan = m > 0x7f800000u;
  m = m > 0x43e00000u ? 0x43e00000u : m;  // 448
  uint32_t normal = (m - 0x3c000000u + 0x7ffffu + ((m >> 20) & 1u)) >> 20;
  // Below 2^-6 the spacing is 2^-9: adding 2^14 leaves multiples of it in the low bits.
  uint32_t subnormal = to_bits(float_of(m < 0x3c800000u ? m : 0u) + 16384.0f) - 0x46800000u;
  uint32_t r = m < 0x3c800000u ? subnormal : normal;
  return static_cast<uint8_t>(sign | (nan ? 0x7fu : r));
}

MLX_FN float from_fp8(uint8_t x) {
  uint32_t sign = static_cast<uint32_t>(x & 0x80u) << 24;
  uint32_t m = x & 0x7fu;
  float normal = float_of((m << 20) + 0x3c000000u);
  float subnormal = static_cast<float>(static_cast<int32_t>(m)) * 0.001953125f;  // 2^-9
  float r = m < 8u ? subnormal : normal;
  r = m == 0x7fu ? nan_f : r;
  return float_of(to_bits(r) | sign);
}

}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
