// The micro kernel of real and integer types, for every number of rows and one or two vectors of
// columns: the sums stay in registers over the whole depth. Included only by *.isa.cpp files.
#pragma once

#include <utility>

#include "mlx/backend/cpu/gemm/kernels.h"
#include "mlx/backend/cpu/gemm/simd.h"

namespace mlx::core::cpu::MLX_ISA::simd {

template <typename T>
struct PlainMath {
  using Packed = T;
  using Sum = T;
  static inline Vec<Packed> spread(Packed a) { return splat<T>(a); }
  static inline Vec<Sum> add_product(Vec<Packed> a, Vec<Packed> b, Vec<Sum> c) {
    return fma<T>(a, b, c);
  }
};

template <typename Math, int Rows, int Vectors>
static void micro_kernel(int64_t steps, const void* a_panel, const void* b_panel, void* c_tile,
                         int64_t ldc, bool accumulate) {
  using Packed = typename Math::Packed;
  using Sum = typename Math::Sum;
  constexpr int lanes = kLanes<Packed>;
  auto a = static_cast<const Packed*>(a_panel);
  auto b = static_cast<const Packed*>(b_panel);
  auto c = static_cast<Sum*>(c_tile);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) __builtin_prefetch(c + r * ldc + v * lanes, 1);
  }
  Vec<Sum> sums[Rows][Vectors] = {};
  for (int64_t k = 0; k < steps; ++k) {
    Vec<Packed> columns[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) columns[v] = load(b + v * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      Vec<Packed> row = Math::spread(a[r]);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) {
        sums[r][v] = Math::add_product(row, columns[v], sums[r][v]);
      }
    }
    a += Rows;
    b += Vectors * lanes;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      Sum* p = c + r * ldc + v * lanes;
      store<Sum>(p, accumulate ? load(p) + sums[r][v] : sums[r][v]);
    }
  }
}

template <typename Math, int Rows>
struct MicroTable {
  MicroKernel kernels[2 * Rows];
};

template <typename Math, int... I>
static constexpr MicroTable<Math, sizeof...(I)> make_micro_table(std::integer_sequence<int, I...>) {
  return {{micro_kernel<Math, I + 1, 1>..., micro_kernel<Math, I + 1, 2>...}};
}

template <typename Math>
static constexpr auto micro_table =
    make_micro_table<Math>(std::make_integer_sequence<int, kRegisterRows>{});

}  // namespace mlx::core::cpu::MLX_ISA::simd
