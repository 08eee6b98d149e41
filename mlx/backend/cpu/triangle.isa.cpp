// Columns of X one after the other: each is what the ones before it leave of that of B.
#include "mlx/backend/cpu/triangle_kernels.h"

#include "mlx/backend/cpu/gemm/element.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

constexpr int kVectors = 4;  // of rows that are solved for together

// `Vectors` vectors of rows from `row` on, or `rows` of them where they are less than one.
template <typename T, bool Upper, int Vectors>
static inline void solve_rows(const TriangleSystem<T>& s, int row, int rows) {
  constexpr int lanes = kLanes<T>;
  bool whole = rows >= lanes;
  auto load_rows = [&](const T* p) { return whole ? load(p) : load_some<Element<T>>(p, rows); };
  for (int step = 0; step < s.size; ++step) {
    int j = Upper ? step : s.size - 1 - step;
    const T* factors = s.triangle + j * s.triangle_stride;
    T* to = s.x + j * s.x_stride + row;
    Vec<T> sums[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sums[v] = load_rows(to + v * lanes);
    int first = Upper ? 0 : j + 1, last = Upper ? j : s.size;
    for (int i = first; i < last; ++i) {
      const T* known = s.x + i * s.x_stride + row;
      Vec<T> factor = splat(factors[i]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        sums[v] = fnma<T>(factor, load_rows(known + v * lanes), sums[v]);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      if constexpr (Upper) sums[v] /= splat(factors[j]);
      if (whole) {
        store<T>(to + v * lanes, sums[v]);
      } else {
        store_some<Element<T>>(to, sums[v], rows);
      }
    }
  }
}

template <typename T, bool Upper>
static void solve(const TriangleSystem<T>& s) {
  constexpr int lanes = kLanes<T>;
  int row = 0;
  for (; row + kVectors * lanes <= s.rows; row += kVectors * lanes) {
    solve_rows<T, Upper, kVectors>(s, row, kVectors * lanes);
  }
  for (; row < s.rows; row += lanes) solve_rows<T, Upper, 1>(s, row, s.rows - row);
}

template <typename T>
static constexpr TriangleKernels<T> kernels() {
  return {solve<T, true>, solve<T, false>};
}

}  // namespace simd

const TriangleTables& triangle_kernels() {
  static constexpr TriangleTables table = {simd::kernels<float>(), simd::kernels<double>()};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
