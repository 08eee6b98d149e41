// Loads and stores of whole or partial vectors, chosen when compiled. Included only by *.isa.cpp.
#pragma once

#include "mlx/backend/cpu/gemm/element.h"

namespace mlx::core::cpu::MLX_ISA::simd {

template <typename E, bool Full, typename Source>
static inline Vec<typename E::Lane> take(const Source* p, int n) {
  if constexpr (Full) {
    return E::load(p);
  } else {
    return load_some<E>(p, n);
  }
}

template <typename E, bool Full, typename Source>
static inline void put(Source* p, Vec<typename E::Lane> v, int n) {
  if constexpr (Full) {
    E::store(p, v);
  } else {
    store_some<E>(p, v, n);
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
