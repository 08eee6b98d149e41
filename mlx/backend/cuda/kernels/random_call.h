// The arguments of filling memory with random bits. Shared by host and device.
#pragma once

#include "mlx/backend/cuda/kernels/operand.h"

namespace mlx::core::kernels {

/** Each key fills `bytes` bytes: the counters (i, i + half) make the words i and i + half, and an
 *  odd last word of the lower half has the counter (i, 0). */
struct RandomBits {
  Operand keys;  // pairs of words
  int64_t key_count, bytes, half;
  void* out;
};

}  // namespace mlx::core::kernels
