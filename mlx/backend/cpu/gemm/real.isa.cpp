// Gemm kernels of f32 and f64, and of f16 and bf16 widened to f32 when panels are packed.
#include "mlx/backend/cpu/gemm/plain_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

// Where there are 32 registers, wider tiles read less per product than tall ones do.
template <typename Source, typename Lane>
static constexpr GemmKernels real_kernels() {
  GemmKernels kernels = plain_kernels<Source, Lane>();
#if defined(__AVX512F__)
  constexpr bool placed = sizeof(Source) == sizeof(Lane);
  kernels.others[0] = shape<PlainMath<Lane>, 6, 4, placed>();
  kernels.others[1] = shape<PlainMath<Lane>, 8, 3, placed>();
#endif
  return kernels;
}

}  // namespace simd

const RealGemmKernels& real_gemm_kernels() {
  using namespace simd;
  static constexpr RealGemmKernels table = {
      real_kernels<float, float>(),
      real_kernels<double, double>(),
      real_kernels<F16, float>(),
      real_kernels<Bf16, float>(),
  };
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
