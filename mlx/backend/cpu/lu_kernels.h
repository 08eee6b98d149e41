// Kernels of LU and of systems with its factors, one set per instruction set level. Rows fill the
// lanes: what stays in the caches is packed in tiles of `tile` rows, column by column.
#pragma once

#include <cstdint>
#include <type_traits>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

/** The most columns of a panel. */
constexpr int lu_panel = 64;

/** Columns from their diagonal down, packed. */
template <typename T>
struct LuPanel {
  T* tiles;
  int rows, columns;
  int* pivots;  // rows that were exchanged, the panel's first being 1
};

template <typename T>
struct LuKernels {
  int tile;

  /** Elements that a panel takes. */
  int64_t (*panel_size)(int rows, int columns);

  /** Packs the panel from column-major memory and factors it. Returns which column, from 1, was the
   *  first to have only zeros for a pivot, or 0. */
  int (*factor)(const LuPanel<T>& panel, const T* a, int64_t stride);

  /** Copies the factors to column-major memory. */
  void (*unpack)(const LuPanel<T>& panel, T* a, int64_t stride);

  /** Does to columns on the right what the panel did: exchanges, a row of U, what it leaves. */
  void (*apply)(const LuPanel<T>& panel, T* a, int64_t stride, int columns);

  /** X of X L U = B, in place of B, in `tiles` packed tiles; B has zeros before column `first`. */
  void (*divide)(const T* lu, int64_t stride, T* x, int tiles, int first, int n);

  /** The same of a positive matrix, of which the lower triangle is read: the panel's part of L.
   *  Returns which column, from 1, shows that it is none, or 0. */
  int (*factor_positive)(const LuPanel<T>& panel, const T* a, int64_t stride);

  /** What that leaves of columns on the right, whose diagonal begins in the panel's `row`. */
  void (*apply_positive)(const LuPanel<T>& panel, T* a, int64_t stride, int row, int columns);
};

struct LuTables {
  LuKernels<float> f32;
  LuKernels<double> f64;
};

MLX_ISA_TABLE(LuTables, lu_kernels)

template <typename T>
const LuKernels<T>& lu_kernels_of() {
  if constexpr (std::is_same_v<T, float>) {
    return lu_kernels().f32;
  } else {
    return lu_kernels().f64;
  }
}

}  // namespace mlx::core::cpu
