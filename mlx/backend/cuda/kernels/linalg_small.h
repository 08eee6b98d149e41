// Decompositions of matrices that fit into the registers of a block, one block for each. A lane
// holds rows lane, lane + 32 and so on, a warp columns warp, warp + 16 and so on: what a column
// needs, such as its largest element, is found within one warp, and the block waits once per
// column.
#pragma once

#include "mlx/backend/cuda/kernels/linalg_call.h"
#include "mlx/backend/cuda/kernels/linalg_numbers.h"

namespace mlx::core::kernels {

inline constexpr int matrix_lanes = 32, matrix_warps = 16;

/** The thread's part of a matrix of up to 32 `down` rows and 16 `across` columns. */
template <typename T, int down, int across>
struct MatrixTile {
  T columns[across][down];

  static MLX_FN int row(int i) { return static_cast<int>(threadIdx.x) % matrix_lanes + 32 * i; }
  static MLX_FN int column(int j) {
    return static_cast<int>(threadIdx.x) / matrix_lanes + matrix_warps * j;
  }

  /** f(element, row, column) for all that lie within. */
  template <typename F>
  MLX_FN void each(int64_t rows, int64_t width, F f) {
#pragma unroll
    for (int j = 0; j < across; j++) {
#pragma unroll
      for (int i = 0; i < down; i++) {
        if (row(i) < rows && column(j) < width) f(columns[j][i], row(i), column(j));
      }
    }
  }

  MLX_FN void fill_zero() {
#pragma unroll
    for (int j = 0; j < across; j++) {
#pragma unroll
      for (int i = 0; i < down; i++) columns[j][i] = T{};
    }
  }

  /** The thread's column j to and from where it can be worked on, for a j found at run time. */
  MLX_FN void take(int j, T (&column)[down]) const {
#pragma unroll
    for (int x = 0; x < across; x++) {
#pragma unroll
      for (int i = 0; i < down; i++) column[i] = x == j ? columns[x][i] : column[i];
    }
  }
  MLX_FN void put(int j, const T (&column)[down]) {
#pragma unroll
    for (int x = 0; x < across; x++) {
#pragma unroll
      for (int i = 0; i < down; i++) columns[x][i] = x == j ? column[i] : columns[x][i];
    }
  }

  /** Column j -= factor times `other`. */
  MLX_FN void subtract(int j, T factor, const T (&other)[down]) {
#pragma unroll
    for (int i = 0; i < down; i++) columns[j][i] = less_product(columns[j][i], factor, other[i]);
  }

  /** Element `r` of the thread's column j, whichever lane has it. */
  MLX_FN T at_row(int j, int r) const { return value_of_row(columns[j], r); }
};

/** LU with partial pivoting where rows stay where they are and only their places change. */
template <typename T, int down, int across>
struct PivotedTile {
  MatrixTile<T, down, across> tile;
  int place[down];  // of the thread's rows

  MLX_FN void begin() {
#pragma unroll
    for (int i = 0; i < down; i++) place[i] = tile.row(i);
  }

  /** The row with the largest element of the column among those not placed yet, the first of equal
   *  ones as they lie. The same for all lanes. */
  MLX_FN int find_pivot(const T (&column)[down], int k, int rows) const {
    RealOf<T> best = -1;
    int first = 1 << 30, found = 0;
#pragma unroll
    for (int i = 0; i < down; i++) {
      RealOf<T> size = pivot_size(column[i]);
      bool better = size > best || (size == best && place[i] < first);
      if (tile.row(i) < rows && place[i] >= k && better) {
        best = size;
        first = place[i];
        found = tile.row(i);
      }
    }
    for (int step = 1; step < matrix_lanes; step *= 2) {
      RealOf<T> size = __shfl_xor_sync(~0u, best, step);
      int other_first = __shfl_xor_sync(~0u, first, step);
      int other = __shfl_xor_sync(~0u, found, step);
      if (size > best || (size == best && other_first < first)) {
        best = size;
        first = other_first;
        found = other;
      }
    }
    return found;
  }

  /** In the warp that has column k: divides what is below the pivot and writes it, zero elsewhere.
   *  Returns the pivot. */
  MLX_FN T divide_column(T (&column)[down], int k, int pivot_row, int rows, T* multipliers) {
    T pivot = value_of_row(column, pivot_row);
#pragma unroll
    for (int i = 0; i < down; i++) {
      bool below = tile.row(i) < rows && place[i] >= k && tile.row(i) != pivot_row;
      if (below && !is_zero(pivot)) column[i] = quotient(column[i], pivot);
      multipliers[tile.row(i)] = below && !is_zero(pivot) ? column[i] : number<T>(0);
    }
    return pivot;
  }

  /** Exchanges the places of row k, as they lie, and the pivot's. Returns the latter's. */
  MLX_FN int exchange(int k, int pivot_row) {
    int with = value_of_row(place, pivot_row);
#pragma unroll
    for (int i = 0; i < down; i++) {
      if (place[i] == k) place[i] = with;
      if (tile.row(i) == pivot_row) place[i] = k;
    }
    return with;
  }

  /** Takes the pivot's row, times multipliers, from column j. Returns its element of the column. */
  MLX_FN T eliminate(int j, int pivot_row, const T (&multiplier)[down]) {
    T element = tile.at_row(j, pivot_row);
    tile.subtract(j, element, multiplier);
    return element;
  }
};

template <typename T, int side>
MLX_FN void factor_small(const SmallLU& p) {
  constexpr int down = side, across = 2 * side;
  using Tile = MatrixTile<T, down, across>;
  __shared__ T multipliers[2][32 * down];
  __shared__ int pivot_rows[2];
  int64_t matrix = blockIdx.x, exchanged = p.rows < p.columns ? p.rows : p.columns;
  int rows = static_cast<int>(p.rows), warp = Tile::column(0);
  const T* from = static_cast<const T*>(p.from) + matrix * p.step;
  PivotedTile<T, down, across> a;
  a.begin();
  a.tile.fill_zero();
  a.tile.each(p.rows, p.columns,
              [&](T& x, int r, int c) { x = from[r * p.row_stride + c * p.column_stride]; });
  for (int k = 0; k < exchanged; k++) {
    int turn = k % 2;
    if (warp == k % matrix_warps) {
      T column[down] = {};
      a.tile.take(k / matrix_warps, column);
      int row = a.find_pivot(column, k, rows);
      a.divide_column(column, k, row, rows, multipliers[turn]);
      a.tile.put(k / matrix_warps, column);
      pivot_rows[turn] = row;
    }
    __syncthreads();
    int row = pivot_rows[turn], with = a.exchange(k, row);
    if (threadIdx.x == 0) p.pivots[matrix * exchanged + k] = static_cast<uint32_t>(with);
    T multiplier[down];
#pragma unroll
    for (int i = 0; i < down; i++) multiplier[i] = multipliers[turn][Tile::row(i)];
#pragma unroll
    for (int j = 0; j < across; j++) {
      if (Tile::column(j) > k) a.eliminate(j, row, multiplier);
    }
  }
  T* packed = static_cast<T*>(p.packed) + matrix * p.rows * p.columns;
#pragma unroll
  for (int i = 0; i < down; i++) {
    int r = Tile::row(i);
    if (r < rows && warp == 0) {
      p.order[matrix * p.rows + a.place[i]] = static_cast<uint32_t>(r);
    }
#pragma unroll
    for (int j = 0; j < across; j++) {
      int c = Tile::column(j);
      if (r < rows && c < p.columns) packed[c * p.rows + a.place[i]] = a.tile.columns[j][i];
    }
  }
}

/** Factors A^T, as it lies in row-major memory, P A^T = L U, and on the way U^T Y = B; then
 *  L^T Z = Y, and Z is P X. */
template <typename T, int side, int right>
MLX_FN void solve_small(const SmallSystems& p) {
  constexpr int down = side, across = 2 * side;
  using Tile = MatrixTile<T, down, across>;
  __shared__ T multipliers[2][32 * down], row_of_b[2][32 * right];
  __shared__ int order[32 * down], first_zero;
  int n = static_cast<int>(p.n), warp = Tile::column(0);
  int64_t matrix = blockIdx.x, size = p.n * p.n, width = p.columns;
  const T* from = static_cast<const T*>(p.matrices) + matrix * size;
  if (threadIdx.x == 0) first_zero = n;
  PivotedTile<T, down, across> a;
  a.begin();
  a.tile.fill_zero();
  a.tile.each(p.n, p.n, [&](T& x, int r, int c) { x = from[c * p.n + r]; });
  MatrixTile<T, right, across> b;  // a row of B for each column of A^T
  b.fill_zero();
  b.each(width, p.n, [&](T& x, int q, int c) {
    x = p.right ? static_cast<const T*>(p.right)[(matrix * p.n + c) * width + q]
                : number<T>(q == c);
  });
  for (int k = 0; k < n; k++) {
    int turn = k % 2;
    if (warp == k % matrix_warps) {
      T column[down] = {}, y[right] = {};
      a.tile.take(k / matrix_warps, column);
      b.take(k / matrix_warps, y);
      int row = a.find_pivot(column, k, n);
      T pivot = a.divide_column(column, k, row, n, multipliers[turn]);
      order[k] = row;
      if (is_zero(pivot) && threadIdx.x % matrix_lanes == 0) atomicMin(&first_zero, k);
#pragma unroll
      for (int i = 0; i < right; i++) {
        y[i] = quotient(y[i], pivot);
        row_of_b[turn][b.row(i)] = y[i];
      }
      a.tile.put(k / matrix_warps, column);
      b.put(k / matrix_warps, y);
    }
    __syncthreads();
    int row = order[k];
    a.exchange(k, row);
    T multiplier[down], y[right];
#pragma unroll
    for (int i = 0; i < down; i++) multiplier[i] = multipliers[turn][Tile::row(i)];
#pragma unroll
    for (int i = 0; i < right; i++) y[i] = row_of_b[turn][b.row(i)];
#pragma unroll
    for (int j = 0; j < across; j++) {
      if (Tile::column(j) > k) {
        T u = a.eliminate(j, row, multiplier);
        b.subtract(j, u, y);
      }
    }
  }
  __syncthreads();
  for (int k = n - 1; k >= 0; k--) {
    int turn = k % 2;
    if (warp == k % matrix_warps) {
      T column[right] = {};
      b.take(k / matrix_warps, column);
#pragma unroll
      for (int i = 0; i < right; i++) row_of_b[turn][b.row(i)] = column[i];
    }
    __syncthreads();
    T z[right];
#pragma unroll
    for (int i = 0; i < right; i++) z[i] = row_of_b[turn][b.row(i)];
#pragma unroll
    for (int j = 0; j < across; j++) {
      if (Tile::column(j) < k) b.subtract(j, a.tile.at_row(j, order[k]), z);
    }
  }
  T* solutions = static_cast<T*>(p.solutions) + matrix * p.n * width;
  b.each(width, p.n, [&](T& x, int q, int c) { solutions[order[c] * width + q] = x; });
  if (threadIdx.x == 0) p.infos[matrix] = first_zero < n ? first_zero + 1 : 0;
}

}  // namespace mlx::core::kernels
