// The two 16-bit floating point types as plain storage types. Arithmetic happens in float: a value
// widens exactly, and rounds to nearest even when it is stored.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace mlx::core {

namespace detail {

/** IEEE binary16 bits of x, rounded to nearest even; NaN stays NaN. */
constexpr uint16_t float_to_half_bits(float x) {
  uint32_t bits = std::bit_cast<uint32_t>(x);
  uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  }
  if (magnitude >= 0x477ff000u) {  // 65520 and above round to infinity
    return static_cast<uint16_t>(sign | 0x7c00u);
  }
  if (magnitude < 0x38800000u) {  // below 2^-14: let the float adder align and round
    float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(aligned) - 0x3f000000u));
  }
  uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

constexpr float half_bits_to_float(uint16_t half) {
  uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  uint32_t shifted = static_cast<uint32_t>(half & 0x7fffu) << 13;
  uint32_t exponent = shifted & 0x0f800000u;
  if (exponent == 0x0f800000u) {  // infinity or NaN
    return std::bit_cast<float>(sign | (shifted + 0x70000000u));
  }
  if (exponent == 0) {  // zero or subnormal: renormalise by subtracting the implicit one
    float value = std::bit_cast<float>(shifted + 0x38800000u) - 6.103515625e-05f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
  }
  return std::bit_cast<float>(sign | (shifted + 0x38000000u));
}

constexpr uint16_t float_to_bfloat_bits(float x) {
  uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return static_cast<uint16_t>((bits >> 16) | 0x40u);
  }
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

constexpr float bfloat_bits_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

}  // namespace detail

struct float16_t {
  uint16_t bits_ = 0;

  float16_t() = default;
  template <typename T, typename = std::enable_if_t<std::is_arithmetic_v<T>>>
  constexpr float16_t(T x) : bits_(detail::float_to_half_bits(static_cast<float>(x))) {}
  constexpr operator float() const { return detail::half_bits_to_float(bits_); }
};

struct bfloat16_t {
  uint16_t bits_ = 0;

  bfloat16_t() = default;
  template <typename T, typename = std::enable_if_t<std::is_arithmetic_v<T>>>
  constexpr bfloat16_t(T x) : bits_(detail::float_to_bfloat_bits(static_cast<float>(x))) {}
  constexpr operator float() const { return detail::bfloat_bits_to_float(bits_); }
};

#define MLX_HALF_OPERATOR(op)                                                                \
  inline float16_t operator op(float16_t a, float16_t b) { return float(a) op float(b); }    \
  inline bfloat16_t operator op(bfloat16_t a, bfloat16_t b) { return float(a) op float(b); } \
  inline float16_t& operator op##=(float16_t& a, float b) { return a = float(a) op b; }      \
  inline bfloat16_t& operator op##=(bfloat16_t& a, float b) { return a = float(a) op b; }
MLX_HALF_OPERATOR(+)
MLX_HALF_OPERATOR(-)
MLX_HALF_OPERATOR(*)
MLX_HALF_OPERATOR(/)
#undef MLX_HALF_OPERATOR

}  // namespace mlx::core

template <>
struct std::numeric_limits<mlx::core::float16_t> : std::numeric_limits<float> {
  static constexpr mlx::core::float16_t lowest() { return -65504.0f; }
  static constexpr mlx::core::float16_t max() { return 65504.0f; }
  static constexpr mlx::core::float16_t min() { return 6.103515625e-05f; }
  static constexpr mlx::core::float16_t epsilon() { return 0.0009765625f; }
  static constexpr mlx::core::float16_t infinity() {
    return std::numeric_limits<float>::infinity();
  }
};

template <>
struct std::numeric_limits<mlx::core::bfloat16_t> : std::numeric_limits<float> {
  static constexpr mlx::core::bfloat16_t lowest() { return -3.3895313892515355e+38f; }
  static constexpr mlx::core::bfloat16_t max() { return 3.3895313892515355e+38f; }
  static constexpr mlx::core::bfloat16_t min() { return 1.1754943508222875e-38f; }
  static constexpr mlx::core::bfloat16_t epsilon() { return 0.0078125f; }
  static constexpr mlx::core::bfloat16_t infinity() {
    return std::numeric_limits<float>::infinity();
  }
};
