// Table of the random kernels, one per instruction set.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

struct RandomKernels {
  /** low[i], high[i] = threefry(key, (first + i, first + i + half)) for i in [0, count). */
  void (*threefry)(uint32_t k0, uint32_t k1, uint32_t first, uint32_t half, int64_t count,
                   uint32_t* low, uint32_t* high);
};

MLX_ISA_TABLE(RandomKernels, random_kernels)

}  // namespace mlx::core::cpu
