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

// A product seen from the side of few rows: those of A, or of B, the columns of the output.
struct FewRows {
  FewRows(const Gemm& g, bool of_b)
      : thin_(of_b ? g.b : g.a),
        wide_(of_b ? g.a : g.b),
        rows_(of_b ? g.n : g.m),
        count_(of_b ? g.m : g.n) {}

  const GemmOperand &thin_, &wide_;
  int64_t rows_, count_;  // of the thin and of the wide operand
};

// Whether an operand can be read once, line after line, where it lies.
inline bool streams(const GemmOperand& wide) {
  return wide.depth_stride == 1 || wide.width_stride == 1;
}

// Products of fewer multiplications than this are not worth a second thread.
constexpr int64_t kParallelWork = int64_t{1} << 20;

}  // namespace mlx::core::cpu
