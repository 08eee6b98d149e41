// Keys: unsigned integers whose order is the total order of sorting, made from the bits of values.
// NaN of any sign has the greatest key; complex numbers have the real part above the imaginary one.
// With `joins_zeros` -0 equals 0, as wherever positions are asked for; without it every bit pattern
// but those of NaN has a key of its own, and there is a way back.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {

/** Bits of a float in sorted order: positive ones get the top bit, negative ones flip. */
template <typename U, U exponent, bool joins_zeros>
MLX_FN U order_of_bits(U bits) {
  constexpr U top = U(1) << (8 * sizeof(U) - 1);
  bool nan = static_cast<U>(bits & ~top) > exponent;
  U b = joins_zeros && bits == top ? U(0) : bits;
  U key = b & top ? static_cast<U>(~b) : static_cast<U>(b | top);
  return nan ? static_cast<U>(~U(0)) : key;
}

template <typename U>
MLX_FN U bits_of_order(U key) {
  constexpr U top = U(1) << (8 * sizeof(U) - 1);
  return key & top ? static_cast<U>(key ^ top) : static_cast<U>(~key);
}

struct UnsignedOrder {
  template <bool, typename U>
  MLX_FN U key(U x) {
    return x;
  }
  template <typename U>
  MLX_FN U value(U x) {
    return x;
  }
};

struct SignedOrder {
  template <bool, typename U>
  MLX_FN U key(U x) {
    return static_cast<U>(x ^ (U(1) << (8 * sizeof(U) - 1)));
  }
  template <typename U>
  MLX_FN U value(U x) {
    return key<false>(x);
  }
};

template <auto exponent>
struct FloatOrder {
  template <bool joins_zeros, typename U>
  MLX_FN U key(U x) {
    return order_of_bits<U, static_cast<U>(exponent), joins_zeros>(x);
  }
  template <typename U>
  MLX_FN U value(U x) {
    return bits_of_order(x);
  }
};

/** There is no way back: a NaN in one part hides the other part. */
struct ComplexOrder {
  template <bool joins_zeros, typename U>
  MLX_FN U key(U x) {
    uint32_t re = order_of_bits<uint32_t, 0x7f800000u, joins_zeros>(static_cast<uint32_t>(x));
    uint32_t im = order_of_bits<uint32_t, 0x7f800000u, joins_zeros>(static_cast<uint32_t>(x >> 32));
    bool nan = re == ~0u || im == ~0u;
    return nan ? ~uint64_t(0) : uint64_t(re) << 32 | im;
  }
};

using HalfOrder = FloatOrder<0x7c00u>;
using BFloatOrder = FloatOrder<0x7f80u>;
using SingleOrder = FloatOrder<0x7f800000u>;
using DoubleOrder = FloatOrder<0x7ff0000000000000ull>;

}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
