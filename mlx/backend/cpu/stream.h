// Stores past the caches, as wide as an instruction set has them: a store of a whole cache line
// waits for no other one.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

struct StreamKernels {
  /** Copies whole cache lines to an address that is a multiple of one. */
  void (*lines)(void* to, const void* from, int64_t count);
};

MLX_ISA_TABLE(StreamKernels, stream_kernels)

}  // namespace mlx::core::cpu
