// Sums over the lanes of a warp and the threads of a block, and words that blocks hand on to the
// blocks behind them.
#pragma once

#include "mlx/backend/cuda/kernels/values.h"

namespace mlx::core::kernels {

/** x of the lane `distance` before this one; the lanes in front keep their own. */
MLX_FN uint32_t earlier_lane(uint32_t x, int distance) {
  return __shfl_up_sync(~0u, x, static_cast<unsigned>(distance));
}

/** The sum of x over the lanes before this one. */
MLX_FN uint32_t sum_before_lane(uint32_t x, int lane) {
  uint32_t sum = x;
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    uint32_t other = earlier_lane(sum, step);
    sum += lane >= step ? other : 0;
  }
  return sum - x;
}

/** The sum of x over the threads before this one, of 256. `shared` has 8 words. */
MLX_FN uint32_t sum_before_thread(uint32_t x, uint32_t* shared) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  uint32_t before = sum_before_lane(x, lane);
  __syncthreads();
  if (lane == 31) shared[warp] = before + x;
  __syncthreads();
  for (int w = 0; w < warp; w++) before += shared[w];
  return before;
}

/** A word that another block may be about to write, or is waiting for. */
template <typename Word>
MLX_FN Word peek(const Word* address) {
  return *static_cast<const volatile Word*>(address);
}
template <typename Word>
MLX_FN void publish(Word* address, Word word) {
  *static_cast<volatile Word*>(address) = word;
}

}  // namespace mlx::core::kernels
