// Gemm kernels of integers and booleans. Products and sums wrap modulo 2^bits, so that types up to
// 32 bits are computed in 32 bits; a boolean product is true where any term is.
#include "mlx/backend/cpu/gemm/plain_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

const IntegerGemmKernels& integer_gemm_kernels() {
  using namespace simd;
  static constexpr IntegerGemmKernels table = {
      plain_kernels<Bool, uint32_t>(),     plain_kernels<int8_t, uint32_t>(),
      plain_kernels<uint8_t, uint32_t>(),  plain_kernels<int16_t, uint32_t>(),
      plain_kernels<uint16_t, uint32_t>(), plain_kernels<int32_t, uint32_t>(),
      plain_kernels<uint32_t, uint32_t>(), plain_kernels<int64_t, uint64_t>(),
      plain_kernels<uint64_t, uint64_t>(),
  };
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
