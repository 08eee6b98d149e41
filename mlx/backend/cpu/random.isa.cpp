// The row loop over counters, vectorised by the compiler for each instruction set.
#include "mlx/backend/cpu/random.h"
#include "mlx/kernels/random.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

void threefry(uint32_t k0, uint32_t k1, uint32_t first, uint32_t half, int64_t count,
              uint32_t* __restrict low, uint32_t* __restrict high) {
  for (int64_t i = 0; i < count; i++) {
    uint32_t counter = first + static_cast<uint32_t>(i);
    auto words = kernels::threefry2x32(k0, k1, counter, counter + half);
    low[i] = words.x0;
    high[i] = words.x1;
  }
}

}  // namespace

const RandomKernels& random_kernels() {
  static constexpr RandomKernels table{threefry};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
