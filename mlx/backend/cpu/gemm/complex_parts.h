// Real and imaginary parts of complex numbers in vectors of their own, from and to memory, where
// they lie next to each other. Included only by *.isa.cpp files.
#pragma once

#include <utility>

#include "mlx/backend/cpu/gemm/pack.h"

namespace mlx::core::cpu::MLX_ISA::simd {

template <typename T>
using IndexVec = Vec<typename IndexOf<sizeof(T)>::type>;

// Parts of the numbers of two vectors in a row: a gets the real ones, b the imaginary ones.
template <typename T>
static inline void split_parts(Vec<T>& a, Vec<T>& b) {
  [&]<int... J>(std::integer_sequence<int, J...>) {
    constexpr IndexVec<T> even = {(2 * J)...}, odd = {(2 * J + 1)...};
    Vec<T> re = __builtin_shuffle(a, b, even);
    b = __builtin_shuffle(a, b, odd);
    a = re;
  }
  (std::make_integer_sequence<int, kLanes<T>>{});
}

// The reverse: real parts in a and imaginary ones in b become two vectors in a row.
template <typename T>
static inline void join_parts(Vec<T>& a, Vec<T>& b) {
  [&]<int... J>(std::integer_sequence<int, J...>) {
    constexpr int n = kLanes<T>, half = n / 2;
    constexpr IndexVec<T> low = {(J / 2 + (J % 2) * n)...};
    constexpr IndexVec<T> high = {(half + J / 2 + (J % 2) * n)...};
    Vec<T> first = __builtin_shuffle(a, b, low);
    b = __builtin_shuffle(a, b, high);
    a = first;
  }
  (std::make_integer_sequence<int, kLanes<T>>{});
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
