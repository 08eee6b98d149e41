// Products of rounded activations by the multiplication of pairs that every level has.
#include "mlx/backend/cpu/quantized/rounded.h"

namespace mlx::core::cpu::MLX_ISA {

const RoundedKernels& rounded_kernels() {
  static constexpr RoundedKernels table = simd::all_rounded_kernels<simd::PlainPairs>();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
