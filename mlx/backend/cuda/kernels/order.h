// Keys of sorting by element type, and the items that a sort moves: keys alone, or keys with the
// positions they came from.
#pragma once

#include "mlx/backend/cuda/kernels/values.h"
#include "mlx/kernels/order.h"

namespace mlx::core::kernels {

template <typename T>
using KeyOf = choose_type<
    sizeof(T) == 1, uint8_t,
    choose_type<sizeof(T) == 2, uint16_t, choose_type<sizeof(T) == 4, uint32_t, uint64_t>>>;

template <typename T>
constexpr auto order_of_type() {
  if constexpr (is_complex<T>) {
    return ComplexOrder();
  } else if constexpr (is_same<T, Half>) {
    return HalfOrder();
  } else if constexpr (is_same<T, BFloat>) {
    return BFloatOrder();
  } else if constexpr (is_same<T, float>) {
    return SingleOrder();
  } else if constexpr (is_same<T, double>) {
    return DoubleOrder();
  } else if constexpr (is_signed<T>) {
    return SignedOrder();
  } else {
    return UnsignedOrder();
  }
}

/** The key of bits that lie in memory. */
template <typename T, bool joins_zeros>
MLX_FN KeyOf<T> key_of(KeyOf<T> bits) {
  if constexpr (is_bool<T>) {
    return bits != 0;
  } else {
    return order_of_type<T>().template key<joins_zeros>(bits);
  }
}

/** The key of element `at`. */
template <typename T, bool joins_zeros>
MLX_FN KeyOf<T> load_key(const void* data, int64_t at) {
  return key_of<T, joins_zeros>(static_cast<const KeyOf<T>*>(data)[at]);
}

/** The bits of the value with a key that did not join zeros. */
template <typename T>
MLX_FN KeyOf<T> bits_of_key(KeyOf<T> key) {
  return order_of_type<T>().value(key);
}

/** Whether sorted values are looked up by their positions, since keys do not lead back to them. */
template <typename T>
inline constexpr bool sorts_by_position = is_complex<T>;

}  // namespace mlx::core::kernels
