// Builds the kernel table of a type that is packed one value per step. Included only by *.isa.cpp.
#pragma once

#include "mlx/backend/cpu/gemm/micro.h"
#include "mlx/backend/cpu/gemm/pack.h"
#include "mlx/backend/cpu/gemm/write.h"

namespace mlx::core::cpu::MLX_ISA::simd {

template <typename Source, typename Lane>
static constexpr GemmKernels plain_kernels() {
  using E = Element<Source, Lane>;
  GemmKernels kernels = {};
  kernels.rows = kRegisterRows;
  kernels.lanes = kLanes<Lane>;
  kernels.unit = 1;
  kernels.source_size = sizeof(Source);
  kernels.packed_size = sizeof(Lane);
  kernels.sum_size = sizeof(Lane);
  kernels.direct = sizeof(Source) == sizeof(Lane);
  kernels.micro = micro_table<PlainMath<Lane>, kRegisterRows, 2>.kernels;
  kernels.pack_rows = pack_rows<E, Source>;
  kernels.pack_lines = pack_lines<E, Source>;
  kernels.pack_across = pack_across<E, Source>;
  kernels.pack_strided = pack_strided<E, Source>;
  kernels.write = write_tile<E, Source>;
  return kernels;
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
