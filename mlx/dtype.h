// Element types, their categories and the promotion rules.
#pragma once

#include <complex>
#include <cstdint>
#include <ostream>
#include <string>

#include "mlx/types/complex.h"
#include "mlx/types/half_types.h"

namespace mlx::core {

struct Dtype {
  enum class Val : uint8_t {
    bool_,
    uint8,
    uint16,
    uint32,
    uint64,
    int8,
    int16,
    int32,
    int64,
    float16,
    float32,
    float64,
    bfloat16,
    complex64,
    complex128,
  };
  static constexpr int count = 15;

  /** One letter per sort of number, as NumPy's array interface has it. */
  enum class Kind { b, u, i, f, c, V };

  enum class Category {
    complexfloating,
    floating,
    inexact,
    signedinteger,
    unsignedinteger,
    integer,
    number,
    generic,
  };

  constexpr explicit Dtype(Val val, uint8_t size) : val_(val), size_(size) {}
  constexpr operator Val() const { return val_; }
  constexpr Val val() const { return val_; }
  /** Bytes of one element. */
  constexpr uint8_t size() const { return size_; }

 private:
  Val val_;
  uint8_t size_;
};

inline constexpr Dtype bool_{Dtype::Val::bool_, 1};
inline constexpr Dtype uint8{Dtype::Val::uint8, 1};
inline constexpr Dtype uint16{Dtype::Val::uint16, 2};
inline constexpr Dtype uint32{Dtype::Val::uint32, 4};
inline constexpr Dtype uint64{Dtype::Val::uint64, 8};
inline constexpr Dtype int8{Dtype::Val::int8, 1};
inline constexpr Dtype int16{Dtype::Val::int16, 2};
inline constexpr Dtype int32{Dtype::Val::int32, 4};
inline constexpr Dtype int64{Dtype::Val::int64, 8};
inline constexpr Dtype float16{Dtype::Val::float16, 2};
inline constexpr Dtype bfloat16{Dtype::Val::bfloat16, 2};
inline constexpr Dtype float32{Dtype::Val::float32, 4};
inline constexpr Dtype float64{Dtype::Val::float64, 8};
inline constexpr Dtype complex64{Dtype::Val::complex64, 8};
inline constexpr Dtype complex128{Dtype::Val::complex128, 16};

inline constexpr Dtype::Category complexfloating = Dtype::Category::complexfloating;
inline constexpr Dtype::Category floating = Dtype::Category::floating;
inline constexpr Dtype::Category inexact = Dtype::Category::inexact;
inline constexpr Dtype::Category signedinteger = Dtype::Category::signedinteger;
inline constexpr Dtype::Category unsignedinteger = Dtype::Category::unsignedinteger;
inline constexpr Dtype::Category integer = Dtype::Category::integer;
inline constexpr Dtype::Category number = Dtype::Category::number;
inline constexpr Dtype::Category generic = Dtype::Category::generic;

/** The dtype with this value. */
Dtype to_dtype(Dtype::Val val);

/** Whether a falls under b in the tree of categories (generic > number > integer, inexact > …). */
bool issubdtype(const Dtype& a, const Dtype& b);
bool issubdtype(const Dtype::Category& a, const Dtype& b);
bool issubdtype(const Dtype& a, const Dtype::Category& b);
bool issubdtype(const Dtype::Category& a, const Dtype::Category& b);

constexpr bool is_complex_dtype(Dtype t) { return t == complex64 || t == complex128; }
/** The dtype of the parts of complex numbers; others are their own. */
constexpr Dtype real_dtype(Dtype t) {
  return t == complex64 ? float32 : t == complex128 ? float64 : t;
}
/** The complex dtype that holds t: complex128 for float64 and itself, complex64 for all others. */
constexpr Dtype complex_dtype(Dtype t) {
  return t == float64 || t == complex128 ? complex128 : complex64;
}

/** The smallest dtype to which both convert; float16 with bfloat16 gives float32, float64 with
 *  complex64 complex128. */
Dtype promote_types(const Dtype& t1, const Dtype& t2);

inline uint8_t size_of(const Dtype& t) { return t.size(); }

Dtype::Kind kindof(const Dtype& t);

/** `float32` and so on. */
const char* dtype_name(const Dtype& t);
/** Inverse of dtype_name; throws std::invalid_argument for any other text. */
Dtype dtype_from_name(const std::string& name);

// One row per C++ element type, used by every switch over dtypes.
#define MLX_FOR_EACH_DTYPE(X) \
  X(bool, bool_)              \
  X(uint8_t, uint8)           \
  X(uint16_t, uint16)         \
  X(uint32_t, uint32)         \
  X(uint64_t, uint64)         \
  X(int8_t, int8)             \
  X(int16_t, int16)           \
  X(int32_t, int32)           \
  X(int64_t, int64)           \
  X(float16_t, float16)       \
  X(float, float32)           \
  X(double, float64)          \
  X(bfloat16_t, bfloat16)     \
  X(complex64_t, complex64)   \
  X(complex128_t, complex128)

/** The dtype whose elements are stored as T. */
template <typename T>
inline constexpr Dtype stored_dtype{Dtype::Val::bool_, 0};
#define MLX_STORED_DTYPE(T, name) \
  template <>                     \
  inline constexpr Dtype stored_dtype<T> = name;
MLX_FOR_EACH_DTYPE(MLX_STORED_DTYPE)
#undef MLX_STORED_DTYPE

/** The dtype of an array that is made from values of type T, unless another is named. */
template <typename T>
struct TypeToDtype {
  static_assert(stored_dtype<T>.size() > 0, "not an element type");
  constexpr operator Dtype() const { return stored_dtype<T>; }
};
/** Plain C++ literals make arrays of the common type. */
template <>
struct TypeToDtype<double> {
  constexpr operator Dtype() const { return float32; }
};
template <>
struct TypeToDtype<std::complex<float>> {
  constexpr operator Dtype() const { return complex64; }
};
template <>
struct TypeToDtype<std::complex<double>> {
  constexpr operator Dtype() const { return complex128; }
};
template <>
struct TypeToDtype<long long> {
  constexpr operator Dtype() const { return int64; }
};
template <>
struct TypeToDtype<unsigned long long> {
  constexpr operator Dtype() const { return uint64; }
};

/** A type as a value: `dispatch_dtype(t, [&](auto tag) { using T = typename decltype(tag)::type; …
 * })`. */
template <typename T>
struct TypeTag {
  using type = T;
};

/** Calls f with the TypeTag of the C++ type that stores `t`. */
template <typename F>
decltype(auto) dispatch_dtype(Dtype t, F&& f) {
  switch (t.val()) {
#define MLX_CASE(T, name) \
  case Dtype::Val::name:  \
    return f(TypeTag<T>{});
    MLX_FOR_EACH_DTYPE(MLX_CASE)
#undef MLX_CASE
  }
  __builtin_unreachable();
}

}  // namespace mlx::core
