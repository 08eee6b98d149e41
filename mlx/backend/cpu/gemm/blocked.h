// The ways of the gemm engine, between which gemm.cpp chooses.
#pragma once

#include "mlx/backend/cpu/gemm/gemm.h"

namespace mlx::core::cpu {

// Packs both operands into panels, runs the micro kernels and the product's work. Needs m, n and k
// above zero.
void blocked_gemm(const GemmKernels& kernels, const Gemm& product);

// Streams the wide operand past the few rows of the other one, and runs the product's work. Returns
// false, having done nothing, when the product is not of that kind.
bool skinny_gemm(const GemmKernels& kernels, const Gemm& product);

// The same for some tens of rows, by kernels of tiles.
bool thin_gemm(const GemmKernels& kernels, const Gemm& product);

// Products of fewer multiplications than this are not worth a second thread.
constexpr int64_t kParallelWork = int64_t{1} << 20;

}  // namespace mlx::core::cpu
