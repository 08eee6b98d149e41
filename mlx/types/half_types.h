// The two 16-bit floating point types as plain storage types. Arithmetic happens in float: a value
// widens exactly, and rounds to nearest even when it is stored.
#pragma once

#include <bit>
#include <concepts>
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

namespace detail {

template <typename T>
concept Arithmetic = std::is_arithmetic_v<T>;

/** A class that stands for a number: the other half type, complex64_t, an element of a
 *  std::vector<bool>. */
template <typename T, typename Half>
concept NumberLike = std::is_class_v<T> && !std::same_as<T, Half> && std::convertible_to<T, float>;

}  // namespace detail

/** IEEE binary16. Numbers become one by themselves, classes only where it is asked for. */
struct float16_t {
  uint16_t bits_ = 0;

  float16_t() = default;
  template <detail::Arithmetic T>
  constexpr float16_t(T x) : bits_(detail::float_to_half_bits(static_cast<float>(x))) {}
  template <detail::NumberLike<float16_t> T>
  explicit constexpr float16_t(const T& x) : float16_t(static_cast<float>(x)) {}
  template <detail::NumberLike<float16_t> T>
  constexpr float16_t& operator=(const T& x) {
    return *this = float16_t(x);
  }
  constexpr operator float() const { return detail::half_bits_to_float(bits_); }
};

/** The upper half of a float32. Conversions as float16_t's. */
struct bfloat16_t {
  uint16_t bits_ = 0;

  bfloat16_t() = default;
  template <detail::Arithmetic T>
  constexpr bfloat16_t(T x) : bits_(detail::float_to_bfloat_bits(static_cast<float>(x))) {}
  template <detail::NumberLike<bfloat16_t> T>
  explicit constexpr bfloat16_t(const T& x) : bfloat16_t(static_cast<float>(x)) {}
  template <detail::NumberLike<bfloat16_t> T>
  constexpr bfloat16_t& operator=(const T& x) {
    return *this = bfloat16_t(x);
  }
  constexpr operator float() const { return detail::bfloat_bits_to_float(bits_); }
};

template <typename T>
concept HalfType = std::same_as<T, float16_t> || std::same_as<T, bfloat16_t>;

namespace detail {

/** What arithmetic of a half type with a number gives: a wider float wins, integers and bool do
 *  not. */
template <HalfType H, Arithmetic T>
using with_half_t = std::conditional_t<std::is_floating_point_v<T>, T, H>;

}  // namespace detail

// Arithmetic; the two half types together give float.
#define MLX_HALF_OPERATOR(op)                                               \
  template <HalfType H>                                                     \
  constexpr H operator op(H a, H b) {                                       \
    return static_cast<float>(a) op static_cast<float>(b);                  \
  }                                                                         \
  constexpr float operator op(float16_t a, bfloat16_t b) {                  \
    return static_cast<float>(a) op static_cast<float>(b);                  \
  }                                                                         \
  constexpr float operator op(bfloat16_t a, float16_t b) {                  \
    return static_cast<float>(a) op static_cast<float>(b);                  \
  }                                                                         \
  template <HalfType H, detail::Arithmetic T>                               \
  constexpr auto operator op(H a, T b)->detail::with_half_t<H, T> {         \
    using Wide = std::conditional_t<std::is_floating_point_v<T>, T, float>; \
    return static_cast<Wide>(a) op static_cast<Wide>(b);                    \
  }                                                                         \
  template <HalfType H, detail::Arithmetic T>                               \
  constexpr auto operator op(T a, H b)->detail::with_half_t<H, T> {         \
    using Wide = std::conditional_t<std::is_floating_point_v<T>, T, float>; \
    return static_cast<Wide>(a) op static_cast<Wide>(b);                    \
  }                                                                         \
  template <HalfType H>                                                     \
  constexpr H& operator op##=(H& a, float b) {                              \
    return a = static_cast<float>(a) op b;                                  \
  }                                                                         \
  template <HalfType H>                                                     \
  constexpr float& operator op##=(float& a, H b) {                          \
    return a = a op static_cast<float>(b);                                  \
  }
MLX_HALF_OPERATOR(+)
MLX_HALF_OPERATOR(-)
MLX_HALF_OPERATOR(*)
MLX_HALF_OPERATOR(/)
#undef MLX_HALF_OPERATOR

template <HalfType H>
constexpr H operator-(H a) {
  return -static_cast<float>(a);
}

// Comparisons are those of floats, exact for integers that a float holds.
#define MLX_HALF_COMPARISON(op)                                             \
  template <HalfType H>                                                     \
  constexpr bool operator op(H a, H b) {                                    \
    return static_cast<float>(a) op static_cast<float>(b);                  \
  }                                                                         \
  template <HalfType H, detail::Arithmetic T>                               \
  constexpr bool operator op(H a, T b) {                                    \
    using Wide = std::conditional_t<std::is_floating_point_v<T>, T, float>; \
    return static_cast<Wide>(a) op static_cast<Wide>(b);                    \
  }                                                                         \
  template <HalfType H, detail::Arithmetic T>                               \
  constexpr bool operator op(T a, H b) {                                    \
    using Wide = std::conditional_t<std::is_floating_point_v<T>, T, float>; \
    return static_cast<Wide>(a) op static_cast<Wide>(b);                    \
  }
MLX_HALF_COMPARISON(==)
MLX_HALF_COMPARISON(!=)
MLX_HALF_COMPARISON(<)
MLX_HALF_COMPARISON(<=)
MLX_HALF_COMPARISON(>)
MLX_HALF_COMPARISON(>=)
#undef MLX_HALF_COMPARISON

// Operations on the bits, where a uint16_t stands for bits, too.
#define MLX_HALF_BITS(op)                                               \
  template <HalfType H>                                                 \
  constexpr H operator op(H a, H b) {                                   \
    return std::bit_cast<H>(static_cast<uint16_t>(a.bits_ op b.bits_)); \
  }                                                                     \
  template <HalfType H>                                                 \
  constexpr H operator op(H a, uint16_t b) {                            \
    return std::bit_cast<H>(static_cast<uint16_t>(a.bits_ op b));       \
  }                                                                     \
  template <HalfType H>                                                 \
  constexpr H operator op(uint16_t a, H b) {                            \
    return std::bit_cast<H>(static_cast<uint16_t>(a op b.bits_));       \
  }                                                                     \
  template <HalfType H>                                                 \
  constexpr H& operator op##=(H& a, H b) {                              \
    return a = a op b;                                                  \
  }                                                                     \
  template <HalfType H>                                                 \
  constexpr H& operator op##=(H& a, uint16_t b) {                       \
    return a = a op b;                                                  \
  }
MLX_HALF_BITS(|)
MLX_HALF_BITS(&)
MLX_HALF_BITS(^)
#undef MLX_HALF_BITS

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
