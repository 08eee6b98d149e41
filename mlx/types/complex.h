// Complex element types: std::complex with the ordering and mixed arithmetic that array code needs.
#pragma once

#include <complex>
#include <concepts>
#include <cstdint>

#include "mlx/types/half_types.h"

namespace mlx::core {

struct complex128_t;

struct complex64_t : public std::complex<float> {
  complex64_t() = default;
  complex64_t(float v, float u) : std::complex<float>(v, u) {}
  complex64_t(std::complex<float> v) : std::complex<float>(v) {}
  complex64_t(const complex128_t& v);
  template <typename T, typename = std::enable_if_t<std::is_convertible_v<T, float>>>
  complex64_t(T x) : std::complex<float>(static_cast<float>(x)) {}
  operator float() const { return real(); }
};

struct complex128_t : public std::complex<double> {
  complex128_t() = default;
  complex128_t(double v, double u) : std::complex<double>(v, u) {}
  complex128_t(std::complex<double> v) : std::complex<double>(v) {}
  complex128_t(const complex64_t& v) : std::complex<double>(v) {}
  template <typename T, typename = std::enable_if_t<std::is_convertible_v<T, double>>>
  complex128_t(T x) : std::complex<double>(static_cast<double>(x)) {}
  operator float() const { return static_cast<float>(real()); }
};

inline complex64_t::complex64_t(const complex128_t& v)
    : std::complex<float>(static_cast<float>(v.real()), static_cast<float>(v.imag())) {}

template <typename T>
concept ComplexNumber = std::same_as<T, complex64_t> || std::same_as<T, complex128_t>;

/** A number as a U: the real part of a complex one where U has none. */
template <typename U, typename T>
U convert_number(const T& x) {
  if constexpr (requires { x.imag(); }) {
    if constexpr (ComplexNumber<U>) {
      using Part = typename U::value_type;
      return {static_cast<Part>(x.real()), static_cast<Part>(x.imag())};
    } else {
      return static_cast<U>(x.real());
    }
  } else {
    return static_cast<U>(x);
  }
}

namespace detail {
/** Lexicographic order, real part first. */
template <typename C>
bool is_before(const C& a, const C& b) {
  return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
}
template <typename C>
bool is_not_behind(const C& a, const C& b) {
  return a.real() < b.real() || (a.real() == b.real() && a.imag() <= b.imag());
}
}  // namespace detail

inline bool operator<(const complex64_t& a, const complex64_t& b) {
  return detail::is_before(a, b);
}
inline bool operator>(const complex64_t& a, const complex64_t& b) {
  return detail::is_before(b, a);
}
inline bool operator<=(const complex64_t& a, const complex64_t& b) {
  return detail::is_not_behind(a, b);
}
inline bool operator>=(const complex64_t& a, const complex64_t& b) {
  return detail::is_not_behind(b, a);
}
inline bool operator<(const complex128_t& a, const complex128_t& b) {
  return detail::is_before(a, b);
}
inline bool operator>(const complex128_t& a, const complex128_t& b) {
  return detail::is_before(b, a);
}
inline bool operator<=(const complex128_t& a, const complex128_t& b) {
  return detail::is_not_behind(a, b);
}
inline bool operator>=(const complex128_t& a, const complex128_t& b) {
  return detail::is_not_behind(b, a);
}

inline complex64_t operator-(const complex64_t& v) {
  return -static_cast<const std::complex<float>&>(v);
}

/** Floored remainder of each component of a by the matching component of b. */
inline complex64_t operator%(complex64_t a, complex64_t b) {
  auto part = [](float x, float y) {
    float r = std::fmod(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
  };
  return {part(a.real(), b.real()), part(a.imag(), b.imag())};
}

inline complex64_t operator+(const complex64_t& x, const complex64_t& y) {
  return static_cast<const std::complex<float>&>(x) + static_cast<const std::complex<float>&>(y);
}
inline complex64_t operator+(const std::complex<float>& x, const complex64_t& y) {
  return x + static_cast<const std::complex<float>&>(y);
}
inline complex64_t operator+(const complex64_t& x, const std::complex<float>& y) {
  return static_cast<const std::complex<float>&>(x) + y;
}

#define MLX_COMPLEX_PLUS(T)                                 \
  inline complex64_t operator+(T x, const complex64_t& y) { \
    return std::complex<float>(static_cast<float>(x)) + y;  \
  }                                                         \
  inline complex64_t operator+(const complex64_t& x, T y) { \
    return x + std::complex<float>(static_cast<float>(y));  \
  }
MLX_COMPLEX_PLUS(bool)
MLX_COMPLEX_PLUS(uint32_t)
MLX_COMPLEX_PLUS(uint64_t)
MLX_COMPLEX_PLUS(int32_t)
MLX_COMPLEX_PLUS(int64_t)
MLX_COMPLEX_PLUS(float16_t)
MLX_COMPLEX_PLUS(bfloat16_t)
MLX_COMPLEX_PLUS(float)
#undef MLX_COMPLEX_PLUS

}  // namespace mlx::core
