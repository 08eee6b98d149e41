// Arithmetic on two neighbours of a half type in one register.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

/** a b + c of both, each with one rounding. */
template <typename T>
MLX_FN uint32_t fma_pair(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t d;
  if constexpr (is_same<T, Half>) {
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  } else {
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  }
  return d;
}

/** (a & mask) | bits, in one instruction. */
MLX_FN uint32_t masked_with(uint32_t a, uint32_t mask, uint32_t bits) {
  uint32_t d;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(d) : "r"(a), "r"(mask), "r"(bits));
  return d;
}

/** The lower, or the upper, halves of two registers. */
MLX_FN uint32_t lower_halves(uint32_t a, uint32_t b) { return __byte_perm(a, b, 0x5410); }
MLX_FN uint32_t upper_halves(uint32_t a, uint32_t b) { return __byte_perm(a, b, 0x7632); }

}  // namespace mlx::core::kernels
