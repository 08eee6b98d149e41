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

/** A half type's value between the instructions of a program: the float that it is. Rounding one
 *  float takes fewer instructions, and faster ones, if the result stays a float. */
template <typename T>
struct AsFloat {
  float value;
};
template <typename T>
using Held = choose_type<is_half<T>, AsFloat<T>, T>;

template <typename T>
MLX_FN float round_through(float x) {
#if __CUDA_ARCH__ >= 800
  uint32_t pair;
  if constexpr (is_same<T, BFloat>) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(x), "f"(0.0f));  // x is the upper half
    return float_of(pair);
  } else {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(0.0f), "f"(x));
    return half_to_float(Half{static_cast<uint16_t>(pair)});
  }
#else
  return computed(rounded<T>(x));
#endif
}

/** A computed value as if it had been stored and read again. */
template <typename T, typename C>
MLX_FN C as_stored(C x) {
  if constexpr (is_half<T>) {
    return round_through<T>(x);
  } else {
    return x;
  }
}

template <typename T>
MLX_FN Held<T> hold(T x) {
  if constexpr (is_half<T>) {
    return {computed(x)};
  } else {
    return x;
  }
}
/** The value for memory; of a half type it is one already. */
template <typename T>
MLX_FN T release(Held<T> x) {
  if constexpr (is_same<T, BFloat>) {
    return BFloat{static_cast<uint16_t>(to_bits(x.value) >> 16)};
  } else if constexpr (is_same<T, Half>) {
    return float_to_half(x.value);
  } else {
    return x;
  }
}

template <typename A>
MLX_FN A held_value(A a) {
  return a;
}
template <typename T>
MLX_FN float held_value(AsFloat<T> a) {
  return a.value;
}

/** As `run`, of held values. */
template <typename Op, typename R, typename... A>
MLX_FN Held<R> run_held(A... a) {
  if constexpr (!is_half<R>) {
    return rounded<R>(apply_body<Op>(held_value(a)...));
  } else if constexpr ((is_same<A, AsFloat<R>> && ...) && HalfBody<Op>::exists) {
    return {round_through<R>(HalfBody<Op>::apply(a.value...))};
  } else {
    return {round_through<R>(static_cast<float>(apply_body<Op>(held_value(a)...)))};
  }
}

/** As `cast`. */
template <typename To, typename From>
MLX_FN Held<To> cast_held(From x) {
  if constexpr (is_same<Held<To>, From>) {
    return x;
  } else if constexpr (is_half<To> && is_same<decltype(held_value(x)), float>) {
    return {round_through<To>(held_value(x))};
  } else {
    return hold<To>(cast<To>(held_value(x)));
  }
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
