// Values on the device: how each element type lies in memory, in what type it is computed, and how
// an operation of the table is applied with one rounding per instruction.
#pragma once

#include "mlx/backend/cuda/kernels/chain.h"
#include "mlx/backend/cuda/kernels/half_bodies.h"
#include "mlx/backend/cuda/kernels/operand.h"
#include "mlx/kernels/elementwise.h"

namespace mlx::core::kernels {

// bool lies in memory as a byte that may hold anything; as a value it is 0 or 1.
template <typename T>
using Stored = choose_type<is_bool<T>, uint8_t, T>;

template <typename T>
MLX_FN T from_stored(Stored<T> x) {
  if constexpr (is_bool<T>) {
    return x != 0;
  } else {
    return x;
  }
}

template <typename T>
inline constexpr bool is_half = is_same<T, Half> || is_same<T, BFloat>;

MLX_FN float half_to_float(Half x) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
  return result;
}
MLX_FN Half float_to_half(float x) {
  Half result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
  return result;
}

MLX_FN BFloat float_to_bfloat(float x) {
#if __CUDA_ARCH__ >= 800
  BFloat result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
  return result;
#else
  return to_bfloat(x);
#endif
}

/** The value in the type that bodies compute in: half types as float. */
template <typename T>
MLX_FN auto computed(T x) {
  if constexpr (is_same<T, Half>) {
    return half_to_float(x);
  } else if constexpr (is_same<T, BFloat>) {
    return to_float(x);
  } else {
    return x;
  }
}

/** A computed value rounded to the type of the result. */
template <typename R, typename C>
MLX_FN R rounded(C x) {
  if constexpr (is_same<R, Half>) {
    return float_to_half(static_cast<float>(x));
  } else if constexpr (is_same<R, BFloat>) {
    return float_to_bfloat(static_cast<float>(x));
  } else if constexpr (is_complex<R>) {
    return x;
  } else {
    return static_cast<R>(x);
  }
}

template <typename Op, typename... A>
MLX_FN auto apply_body(A... a) {
  if constexpr ((is_same<A, float> && ...) && op::Slow<Op>::exists) {
    return op::Slow<Op>::needed(a...) ? op::Slow<Op>::apply(a...) : Op::apply(a...);
  } else {
    return Op::apply(a...);
  }
}

/** One instruction. */
template <typename Op, typename R, typename... A>
MLX_FN R run(A... a) {
  if constexpr (is_half<R> && (is_same<A, R> && ...) && HalfBody<Op>::exists) {
    return rounded<R>(HalfBody<Op>::apply(computed(a)...));
  } else {
    return rounded<R>(apply_body<Op>(computed(a)...));
  }
}

/** astype. Wide numbers reach half types with one rounding. */
template <typename To, typename From>
MLX_FN To cast(From x) {
  if constexpr (is_same<To, From>) {
    return x;
  } else if constexpr (is_half<To> && !is_half<From>) {
    constexpr bool wide = sizeof(From) >= 4 && !is_same<RealOf<From>, float>;
    if constexpr (wide) {
      return rounded<To>(round_to_odd(convert<double>(x)));
    } else {
      return rounded<To>(convert<float>(x));
    }
  } else {
    return rounded<To>(convert<choose_type<is_half<To>, float, To>>(computed(x)));
  }
}

template <typename T>
MLX_FN T select(bool c, T a, T b) {
  return c ? a : b;
}

/** N neighbours in memory, moved in one access. */
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  Stored<T> at[N];
};

template <typename T, int N, typename Index>
MLX_FN Pack<T, N> load_pack(const void* data, Index first) {
  return *reinterpret_cast<const Pack<T, N>*>(static_cast<const T*>(data) + first);
}
template <typename T, int N, typename Index>
MLX_FN void store_pack(void* data, Index first, Pack<T, N> pack) {
  *reinterpret_cast<Pack<T, N>*>(static_cast<T*>(data) + first) = pack;
}
template <typename T, typename Index>
MLX_FN T load(const void* data, Index at) {
  return from_stored<T>(static_cast<const Stored<T>*>(data)[at]);
}
template <typename T, typename Index>
MLX_FN void store(void* data, Index at, T x) {
  static_cast<Stored<T>*>(data)[at] = static_cast<Stored<T>>(x);
}

template <typename T>
MLX_FN T scalar(const Operand& operand) {
  return from_stored<T>(*static_cast<const Stored<T>*>(
      operand.data ? operand.data : static_cast<const void*>(&operand.value)));
}

/** The value where it is known to have come along. */
template <typename T>
MLX_FN T given(const Operand& operand) {
  return from_stored<T>(*reinterpret_cast<const Stored<T>*>(&operand.value));
}

}  // namespace mlx::core::kernels
