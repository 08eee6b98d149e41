// Gemm kernels of f32 and f64, and of f16 and bf16 widened to f32 when panels are packed.
#include "mlx/backend/cpu/gemm/plain_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

const RealGemmKernels& real_gemm_kernels() {
  using namespace simd;
  static constexpr RealGemmKernels table = {
      plain_kernels<float, float>(),
      plain_kernels<double, double>(),
      plain_kernels<F16, float>(),
      plain_kernels<Bf16, float>(),
  };
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
