// Kernels of systems with a small triangular matrix, one set per instruction set level: the rows of
// X fill the lanes.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

// X of X T = B, in place of B; both are column major.
template <typename T>
struct TriangleSystem {
  const T* triangle;
  int64_t triangle_stride;  // between columns
  T* x;
  int64_t x_stride;
  int rows, size;
};

template <typename T>
struct TriangleKernels {
  void (*upper)(const TriangleSystem<T>& system);
  void (*unit_lower)(const TriangleSystem<T>& system);  // whose diagonal counts as ones
};

struct TriangleTables {
  TriangleKernels<float> f32;
  TriangleKernels<double> f64;
};

MLX_ISA_TABLE(TriangleTables, triangle_kernels)

}  // namespace mlx::core::cpu
