// What every kernel body stands on: the function macro, plain storage types, bit casts and the few
// arithmetic helpers that g++ vectorises and a CUDA run-time compiler accepts alike. No standard
// library: everything here must work without one, and must never be shared between ISA builds.
#pragma once

#ifndef __CUDACC_RTC__
#include <cstdint>
#else
// The run-time compiler has no standard headers.
using int8_t = signed char;
using int16_t = short;
using int32_t = int;
using int64_t = long long;
using uint8_t = unsigned char;
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using uint64_t = unsigned long long;
#define INT32_MIN (-2147483647 - 1)
#define INT64_MIN (-9223372036854775807LL - 1)
#endif

// MLX_F32 and MLX_F64 name the target's own function of float and double.
#ifdef __CUDACC__
#define MLX_FN __device__ __forceinline__
#define MLX_F32(name) ::name##f
#define MLX_F64(name) ::name
#else
#define MLX_FN __attribute__((always_inline)) inline
#define MLX_F32(name) __builtin_##name##f
#define MLX_F64(name) __builtin_##name
#endif

#ifndef MLX_ISA
#define MLX_ISA generic
#endif

namespace mlx::core::kernels {
inline namespace MLX_ISA {

// Storage of the 16-bit and complex types, layout-equal to float16_t, bfloat16_t, complex64_t and
// complex128_t.
struct Half {
  uint16_t bits;
};
struct BFloat {
  uint16_t bits;
};
struct Complex {
  float re, im;
};
struct WideComplex {
  double re, im;
};

template <typename A, typename B>
inline constexpr bool is_same = false;
template <typename A>
inline constexpr bool is_same<A, A> = true;

template <typename T>
inline constexpr bool is_float = is_same<T, float> || is_same<T, double>;
template <typename T>
inline constexpr bool is_complex = is_same<T, Complex> || is_same<T, WideComplex>;
template <typename T>
inline constexpr bool is_bool = is_same<T, bool>;
template <typename T>
inline constexpr bool is_integer =
    !is_float<T> && !is_complex<T> && !is_same<T, Half> && !is_same<T, BFloat>;

template <bool C, typename A, typename B>
struct ChooseType {
  using type = A;
};
template <typename A, typename B>
struct ChooseType<false, A, B> {
  using type = B;
};
template <bool C, typename A, typename B>
using choose_type = typename ChooseType<C, A, B>::type;

/** What the parts of a complex number are; other types themselves. */
template <typename T>
using RealOf =
    choose_type<is_same<T, Complex>, float, choose_type<is_same<T, WideComplex>, double, T>>;

template <typename T>
inline constexpr bool is_signed = is_float<T> || (!is_bool<T> && T(-1) < T(1));

/** Unsigned type of at least 32 bits in which integer arithmetic of T wraps without overflow. */
template <typename T>
using wrapping = choose_type<(sizeof(T) > 4), uint64_t, uint32_t>;

MLX_FN uint32_t to_bits(float x) { return __builtin_bit_cast(uint32_t, x); }
MLX_FN uint64_t to_bits(double x) { return __builtin_bit_cast(uint64_t, x); }
MLX_FN float float_of(uint32_t x) { return __builtin_bit_cast(float, x); }
MLX_FN double double_of(uint64_t x) { return __builtin_bit_cast(double, x); }

// a*b + c: one rounding where the target has the instruction, two elsewhere. Bodies must hold
// their error bound either way.
#if defined(__FMA__) || defined(__CUDACC__)
MLX_FN float madd(float a, float b, float c) { return MLX_F32(fma)(a, b, c); }
MLX_FN double madd(double a, double b, double c) { return MLX_F64(fma)(a, b, c); }
#else
MLX_FN float madd(float a, float b, float c) { return a * b + c; }
MLX_FN double madd(double a, double b, double c) { return a * b + c; }
#endif

// a / b, at most 1 ULP, for b and 1/b normal: devices need no more than their approximate
// reciprocal and one correction then, and no branches.
#ifdef __CUDACC__
MLX_FN float bounded_quotient(float a, float b) {
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(b));
  float q = a * r;
  return madd(madd(-b, q, a), r, q);
}
#else
MLX_FN float bounded_quotient(float a, float b) { return a / b; }
#endif

MLX_FN float fabs(float x) { return MLX_F32(fabs)(x); }
MLX_FN double fabs(double x) { return MLX_F64(fabs)(x); }
#ifdef __CUDACC__
MLX_FN float copysign(float x, float s) {
  float r;  // the compiler would take two instructions
  asm("lop3.b32 %0, %1, %2, 0x7fffffff, 0xe4;" : "=f"(r) : "f"(x), "f"(s));
  return r;
}
#else
MLX_FN float copysign(float x, float s) {
  return float_of((to_bits(x) & 0x7fffffffu) | (to_bits(s) & 0x80000000u));
}
#endif
MLX_FN double copysign(double x, double s) {
  return double_of((to_bits(x) & 0x7fffffffffffffffull) | (to_bits(s) & 0x8000000000000000ull));
}
MLX_FN float sqrt(float x) { return MLX_F32(sqrt)(x); }
MLX_FN double sqrt(double x) { return MLX_F64(sqrt)(x); }
MLX_FN float floor(float x) { return MLX_F32(floor)(x); }
MLX_FN double floor(double x) { return MLX_F64(floor)(x); }
MLX_FN float ceil(float x) { return MLX_F32(ceil)(x); }
MLX_FN double ceil(double x) { return MLX_F64(ceil)(x); }
MLX_FN float trunc(float x) { return MLX_F32(trunc)(x); }
MLX_FN double trunc(double x) { return MLX_F64(trunc)(x); }
MLX_FN float rint(float x) { return MLX_F32(rint)(x); }
MLX_FN double rint(double x) { return MLX_F64(rint)(x); }

inline constexpr float inf_f = __builtin_bit_cast(float, 0x7f800000u);
inline constexpr float nan_f = __builtin_bit_cast(float, 0x7fc00000u);
inline constexpr double inf_d = __builtin_bit_cast(double, uint64_t(0x7ff0000000000000));
inline constexpr double nan_d = __builtin_bit_cast(double, uint64_t(0x7ff8000000000000));

MLX_FN bool is_nan(float x) { return x != x; }
MLX_FN bool is_nan(double x) { return x != x; }
MLX_FN bool is_inf(float x) { return fabs(x) == inf_f; }
MLX_FN bool is_inf(double x) { return fabs(x) == inf_d; }
MLX_FN bool is_finite(float x) { return fabs(x) < inf_f; }
MLX_FN bool is_finite(double x) { return fabs(x) < inf_d; }

/** c0 + c1 x + c2 x^2 + ... by Horner's rule. */
template <typename T>
MLX_FN T polynomial(T, T c0) {
  return c0;
}
template <typename T, typename... Rest>
MLX_FN T polynomial(T x, T c0, Rest... rest) {
  return madd(polynomial(x, rest...), x, c0);
}

}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
