// Products of rounded activations by the AVX512-VNNI dot product, which adds pairs of products to
// sums in one instruction.
#if defined(__AVX512F__)
#pragma GCC target("avx512vnni")
#endif

#include "mlx/backend/cpu/quantized/rounded.h"

namespace mlx::core::cpu::MLX_ISA {

#if defined(__AVX512F__)

const RoundedKernels& rounded_vnni_kernels() {
  static constexpr RoundedKernels table = simd::all_rounded_kernels();
  return table;
}

#else

// Levels without the instruction have the plain kernels under this name too.
const RoundedKernels& rounded_vnni_kernels() { return rounded_kernels(); }

#endif

}  // namespace mlx::core::cpu::MLX_ISA
