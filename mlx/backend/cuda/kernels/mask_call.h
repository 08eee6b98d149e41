// The arguments of reads and writes under a mask. Shared by host and device.
#pragma once

#include "mlx/backend/cuda/kernels/fault.h"

namespace mlx::core::kernels {

/** Elements of a mask that one block goes through: 16 for each of its threads. */
constexpr int mask_block = 4096;
constexpr int mask_threads = 256;

struct Mask {
  int64_t count;   // elements of the mask
  int64_t row;     // words of the array in each row under it
  int64_t blocks;  // of mask elements
  int64_t given;   // words of values
  const uint8_t* mask;
  int64_t* offsets;  // the true elements before each block, and behind that all of them
  const void* in;
  const void* values;
  void* out;
  Fault* fault;
};

}  // namespace mlx::core::kernels
