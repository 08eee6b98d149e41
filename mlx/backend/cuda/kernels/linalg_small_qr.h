// QR of matrices that fit into the registers of a block, by Householder's reflections: I - t v v^H,
// where v has a one on the diagonal and lies below it.
#pragma once

#include "mlx/backend/cuda/kernels/linalg_small.h"

namespace mlx::core::kernels {

/** In the warp that has column k: what reflects it onto the diagonal. Leaves v below and the
 *  diagonal of R on it; writes all of v, and returns t. */
template <typename T, int down>
MLX_FN T make_reflector(T (&column)[down], int k, T* v) {
  using Real = RealOf<T>;
  int lane = static_cast<int>(threadIdx.x) % matrix_lanes;
  T head = value_of_row(column, k);
  Real largest = 0;
#pragma unroll
  for (int i = 0; i < down; i++) {
    if (lane + 32 * i > k) largest = fmax(largest, pivot_size(column[i]));
  }
  for (int step = 1; step < matrix_lanes; step *= 2) {
    largest = fmax(largest, __shfl_xor_sync(~0u, largest, step));
  }
  T t{}, scale{};
  Real unit = 1, diagonal = real_part(head);
  if (largest > 0 || imaginary_part(head) != 0) {
    // Squares of elements as they are could leave the range, and where nothing but rounding errors
    // of rounding errors is left, elements could be too small to have all digits.
    unit = power_of_two_below(fmax(largest, pivot_size(head)));
    head = scaled_down(head, unit);
    Real sum = 0;
#pragma unroll
    for (int i = 0; i < down; i++) {
      if (lane + 32 * i < k) continue;
      column[i] = scaled_down(column[i], unit);
      sum += square_size(column[i], Real(1));
    }
    Real length = sqrt(sum_of_lanes(sum));
    diagonal = real_part(head) > 0 ? -length : length;
    t = scaled_down(number<T>(diagonal - real_part(head), -imaginary_part(head)), diagonal);
    scale = number<T>(real_part(head) - diagonal, imaginary_part(head));
  }
#pragma unroll
  for (int i = 0; i < down; i++) {
    int r = lane + 32 * i;
    if (r > k && !is_zero(scale)) column[i] = quotient(column[i], scale);
    v[r] = r > k ? column[i] : number<T>(r == k);
    if (r == k) column[i] = number<T>(unit * diagonal);
  }
  return t;
}

/** column -= t v (v^H column) */
template <typename T, int down>
MLX_FN void reflect(T (&column)[down], const T (&v)[down], T t) {
  T along{};
#pragma unroll
  for (int i = 0; i < down; i++) along = total(along, product(conjugate(v[i]), column[i]));
  along = product(t, sum_of_lanes(along));
#pragma unroll
  for (int i = 0; i < down; i++) column[i] = less_product(column[i], v[i], along);
}

template <typename T, int side>
MLX_FN void factor_small_qr(const SmallQR& p) {
  constexpr int down = side, across = 2 * side;
  using Tile = MatrixTile<T, down, across>;
  __shared__ T vectors[2][32 * down], factors[16 * across];
  int64_t matrix = blockIdx.x;
  int rows = static_cast<int>(p.rows), columns = static_cast<int>(p.columns);
  int k_end = rows < columns ? rows : columns, warp = Tile::column(0);
  int lane = static_cast<int>(threadIdx.x) % matrix_lanes;
  const T* from = static_cast<const T*>(p.from) + matrix * p.step;
  Tile a, q;
  a.fill_zero();
  q.fill_zero();
  a.each(rows, columns,
         [&](T& x, int r, int c) { x = from[r * p.row_stride + c * p.column_stride]; });
  q.each(rows, k_end, [&](T& x, int r, int c) { x = number<T>(r == c); });
  auto load = [&](T(&v)[down], int turn) {
#pragma unroll
    for (int i = 0; i < down; i++) v[i] = vectors[turn][Tile::row(i)];
  };
  for (int k = 0; k < k_end; k++) {
    int turn = k % 2;
    if (warp == k % matrix_warps) {
      T column[down] = {};
      a.take(k / matrix_warps, column);
      T t = make_reflector(column, k, vectors[turn]);
      a.put(k / matrix_warps, column);
      if (lane == 0) factors[k] = t;
    }
    __syncthreads();
    T v[down];
    load(v, turn);
#pragma unroll
    for (int j = 0; j < across; j++) {
      if (Tile::column(j) > k) reflect(a.columns[j], v, conjugate(factors[k]));
    }
  }
  __syncthreads();
  // From the last to the first, the reflections make Q of the identity.
  for (int k = k_end - 1; k >= 0; k--) {
    int turn = k % 2;
    if (warp == k % matrix_warps) {
      T column[down] = {};
      a.take(k / matrix_warps, column);
#pragma unroll
      for (int i = 0; i < down; i++) {
        int r = Tile::row(i);
        vectors[turn][r] = r > k ? column[i] : number<T>(r == k);
      }
    }
    __syncthreads();
    T v[down];
    load(v, turn);
#pragma unroll
    for (int j = 0; j < across; j++) {
      if (Tile::column(j) >= k) reflect(q.columns[j], v, factors[k]);
    }
  }
  T* out_q = static_cast<T*>(p.q) + matrix * rows * k_end;
  T* out_r = static_cast<T*>(p.r) + matrix * k_end * columns;
  q.each(rows, k_end, [&](T& x, int r, int c) { out_q[c * rows + r] = x; });
  a.each(k_end, columns,
         [&](T& x, int r, int c) { out_r[c * k_end + r] = r <= c ? x : number<T>(0); });
}

}  // namespace mlx::core::kernels
