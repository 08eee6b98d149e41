// Kernels of LU, Cholesky and systems with their factors.
#include "mlx/backend/cpu/lu_kernels.h"

#include <type_traits>

#include "mlx/backend/cpu/lu_panel.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

template <typename T>
static int64_t panel_size(int rows, int columns) {
  return Panel<T>({nullptr, rows, columns, nullptr}).tiles() * Panel<T>::step(columns);
}

template <typename T>
static int factor(const LuPanel<T>& p, const T* a, int64_t stride) {
  Panel<T> panel(p);
  panel.pack(a, stride);
  return panel.factor();
}

template <typename T>
static void unpack(const LuPanel<T>& p, T* a, int64_t stride) {
  Panel<T>(p).unpack(a, stride);
}

/** Calls f(part, first) with some columns on the right at a time. */
template <typename T, typename F>
static void for_right(const LuPanel<T>& p, T* a, int64_t stride, int columns, F f) {
  for (int j = 0; j < columns; j += Right<T>::most_columns) {
    int count = smaller(Right<T>::most_columns, columns - j);
    Right<T> part(p, a + j * stride, stride, count);
    f(part, j);
  }
}

template <typename T>
static void apply(const LuPanel<T>& p, T* a, int64_t stride, int columns) {
  for_right(p, a, stride, columns, [](Right<T>& part, int) { part.run(); });
}

template <typename T>
static int factor_positive(const LuPanel<T>& p, const T* a, int64_t stride) {
  Panel<T> panel(p);
  panel.pack(a, stride);
  return panel.factor_positive();
}

template <typename T>
static void apply_positive(const LuPanel<T>& p, T* a, int64_t stride, int row, int columns) {
  for_right(p, a, stride, columns,
            [row](Right<T>& part, int first) { part.run_positive(row + first); });
}

/** Columns [j, j + Columns) of X U = B in a tile, where those from `first` to j are known. Not
 * inlined: its sums would lose their registers. */
template <typename T, int Columns>
[[gnu::noinline]] static void divide_by_upper(const T* u, int64_t stride, T* x, int first, int j) {
  constexpr int tile_rows = kTile<T>;
  Sums<T, Columns> sums;
  T* to = x + j * tile_rows;
  const T* right = u + j * stride;
  sums.load_from(to, tile_rows);
  sums.subtract(j - first, x + first * tile_rows, right + first, stride);
#pragma GCC unroll 8
  for (int c = 0; c < Columns; ++c) {
#pragma GCC unroll 8
    for (int k = 0; k < c; ++k) {
      Vec<T> factor = splat(right[c * stride + j + k]);
      sums.of[c][0] = fnma<T>(factor, sums.of[k][0], sums.of[c][0]);
      sums.of[c][1] = fnma<T>(factor, sums.of[k][1], sums.of[c][1]);
    }
    Vec<T> pivot = splat(right[c * stride + j + c]);
    sums.of[c][0] /= pivot;
    sums.of[c][1] /= pivot;
  }
  sums.store_to(to, tile_rows);
}

/** The same of X L = B, where those after them are known. */
template <typename T, int Columns>
[[gnu::noinline]] static void divide_by_lower(const T* l, int64_t stride, T* x, int j, int n) {
  constexpr int tile_rows = kTile<T>;
  Sums<T, Columns> sums;
  T* to = x + j * tile_rows;
  const T* left = l + j * stride;
  int after = j + Columns;
  sums.load_from(to, tile_rows);
  sums.subtract(n - after, x + after * tile_rows, left + after, stride);
#pragma GCC unroll 8
  for (int c = Columns - 1; c >= 0; --c) {
#pragma GCC unroll 8
    for (int k = c + 1; k < Columns; ++k) {
      Vec<T> factor = splat(left[c * stride + j + k]);
      sums.of[c][0] = fnma<T>(factor, sums.of[k][0], sums.of[c][0]);
      sums.of[c][1] = fnma<T>(factor, sums.of[k][1], sums.of[c][1]);
    }
  }
  sums.store_to(to, tile_rows);
}

/** The same from the last to the first. */
template <int Columns = kColumns, typename F>
static inline void for_groups_backward(int end, F f) {
  for (; end >= Columns; end -= Columns) f(end - Columns, std::integral_constant<int, Columns>());
  if constexpr (Columns > 1) for_groups_backward<Columns / 2>(end, f);
}

template <typename T>
static void divide(const T* lu, int64_t stride, T* x, int tiles, int first, int n) {
  int64_t size = int64_t{kTile<T>} * n;
  for_groups(first, n, [&](int j, auto columns) {
    for (int i = 0; i < tiles; ++i) {
      divide_by_upper<T, decltype(columns)::value>(lu, stride, x + i * size, first, j);
    }
  });
  for_groups_backward(n, [&](int j, auto columns) {
    for (int i = 0; i < tiles; ++i) {
      divide_by_lower<T, decltype(columns)::value>(lu, stride, x + i * size, j, n);
    }
  });
}

template <typename T>
static constexpr LuKernels<T> kernels() {
  return {kTile<T>, panel_size<T>, factor<T>,          unpack<T>,
          apply<T>, divide<T>,     factor_positive<T>, apply_positive<T>};
}

}  // namespace simd

const LuTables& lu_kernels() {
  static constexpr LuTables table = {simd::kernels<float>(), simd::kernels<double>()};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
