// Vectors of the width of the instruction set, for CPU kernels that must spell out their lanes
// because the compiler may not reorder floating-point reductions by itself.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
inline constexpr int vector_bytes = 32;
#else
inline constexpr int vector_bytes = 16;
#endif

template <typename T>
struct PackOf {
  typedef T type __attribute__((vector_size(vector_bytes)));
};
template <>
struct PackOf<Complex> {
  using type = Complex;
};
template <>
struct PackOf<WideComplex> {
  using type = WideComplex;
};

/** As many T as fit a register; complex numbers come one by one. */
template <typename T>
using Pack = typename PackOf<T>::type;

template <typename T>
inline constexpr int lanes = sizeof(Pack<T>) / sizeof(T);

template <typename T>
MLX_FN Pack<T> load_pack(const T* from) {
  Pack<T> pack;
  __builtin_memcpy(&pack, from, sizeof(pack));
  return pack;
}

template <typename T>
MLX_FN void store_pack(T* to, Pack<T> pack) {
  __builtin_memcpy(to, &pack, sizeof(pack));
}

}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
