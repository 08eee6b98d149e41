// Products with one side of few rows (matrix times vector above all) read the other side once and
// are bound by memory: these kernels stream it without packing.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

// x holds `rows` rows of `depth` values of the sums' type, one after the other. w is the wide
// operand as it lies in memory; its stride is in elements.
struct SkinnyProduct {
  const void* x;
  int64_t x_stride;
  int rows;
  const void* w;
  int64_t w_stride;
  int64_t depth;
  int64_t count;
  void* sums;
  int64_t sums_stride;
};

struct SkinnyKernels {
  // sums[r][j] = sum over k of x[r][k] * w[j * w_stride + k] for j < count.
  void (*dots)(const SkinnyProduct& product);
  // sums[r][j] = sum over k of x[r][k] * w[k * w_stride + j] for j < count.
  void (*lines)(const SkinnyProduct& product);
  // sums[i] += the sums at i of all further parts, which lie `stride` apart, in order.
  void (*fold)(void* sums, int64_t stride, int64_t parts, int64_t count);
};

struct SkinnyTables {
  SkinnyKernels f32, f64, f16, bf16;
};

MLX_ISA_TABLE(SkinnyTables, skinny_kernels)

}  // namespace mlx::core::cpu
