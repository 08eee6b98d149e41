// Matrix products in tiles without tensor cores: for types that libraries do not multiply, and for
// operands that are picked, or cut along the common axis, when they run.
#pragma once

#include "mlx/backend/cuda/kernels/fault.h"
#include "mlx/backend/cuda/kernels/product_call.h"
#include "mlx/backend/cuda/kernels/product_sizes.h"
#include "mlx/backend/cuda/kernels/values.h"
#include "mlx/kernels/reduce.h"

namespace mlx::core::kernels {

/** A batch of matrices: strides in elements. With `picks`, product i takes matrix picks[i] of
 *  `count`. */
/** out = alpha a b + beta out for matrices (m, k) and (k, n); with `segments`, over the part
 *  [segments[2 i], segments[2 i + 1]) of the depth in product i. */
/** What products add up in: integers in unsigned words, whose lower bits are right for both signs.
 */
template <typename T>
using ProductSum = choose_type<is_integer<T>, choose_type<sizeof(T) == 8, uint64_t, uint32_t>,
                               decltype(computed(T{}))>;

template <typename T>
MLX_FN ProductSum<T> load_factor(const void* data, int64_t at) {
  return static_cast<ProductSum<T>>(computed(load<T>(data, at)));
}

/** Finds the matrix of product i; false, after a report, if there is none. */
MLX_FN bool find_matrix(const ProductOperand& operand, int64_t i, Fault* fault, int64_t& offset) {
  if (operand.picks != nullptr) {
    int64_t given = operand.picks[i];
    i = given < 0 ? given + operand.count : given;
    if (i < 0 || i >= operand.count) {
      report(fault, FaultOp::gather_mm, given, 0, operand.count);
      return false;
    }
  }
  offset = i * operand.batch;
  return true;
}

/** Finds the part of the depth of product i; false, after a report, if it is outside. */
MLX_FN bool find_segment(const Products& p, int64_t i, int64_t& begin, int64_t& end) {
  begin = 0;
  end = p.k;
  if (p.segments == nullptr) return true;
  begin = p.segments[2 * i];
  end = p.segments[2 * i + 1];
  for (int64_t bound : {begin, end}) {
    if (bound < 0 || bound > p.k) {
      report(p.fault, FaultOp::segmented_mm, bound, 0, p.k);
      return false;
    }
  }
  return true;
}

/** Reads a tile of so many rows (or columns, for the right operand) and `product_depth` of depth:
 *  neighbouring threads read along the axis whose neighbours lie side by side. */
template <typename T, int width>
MLX_FN void load_factors(const void* data, int64_t width_stride, int64_t depth_stride,
                         int64_t width_left, int64_t depth_left,
                         ProductSum<T> (&tile)[product_depth][width + 1]) {
  for (int i = static_cast<int>(threadIdx.x); i < width * product_depth; i += product_threads) {
    bool along_depth = depth_stride == 1;
    int x = along_depth ? i / product_depth : i % width;
    int k = along_depth ? i % product_depth : i / width;
    bool exists = x < width_left && k < depth_left;
    tile[k][x] =
        exists ? load_factor<T>(data, x * width_stride + k * depth_stride) : ProductSum<T>{};
  }
}

template <typename T>
MLX_FN void add_product(ProductSum<T>& sum, ProductSum<T> a, ProductSum<T> b) {
  if constexpr (is_bool<T>) {
    sum = sum | (a & b);
  } else if constexpr (is_same<ProductSum<T>, float>) {
    sum = ::fmaf(a, b, sum);
  } else if constexpr (is_same<ProductSum<T>, double>) {
    sum = ::fma(a, b, sum);
  } else {
    sum = sum + a * b;
  }
}

template <typename T>
MLX_FN void store_product(const Products& p, int64_t at, ProductSum<T> sum) {
  if constexpr (is_complex<T>) {
    auto scaled = [](T x, double by) { return T{x.re * RealOf<T>(by), x.im * RealOf<T>(by)}; };
    sum = scaled(sum, p.alpha);
    if (p.beta != 0) sum = sum + scaled(load<T>(p.out, at), p.beta);
    store<T>(p.out, at, sum);
  } else if constexpr (is_bool<T>) {
    store<T>(p.out, at, sum || (p.beta != 0 && load<T>(p.out, at)));
  } else {
    // Factors of integers are integers.
    using Factor = choose_type<is_integer<T>, T, ProductSum<T>>;
    sum = sum * static_cast<ProductSum<T>>(static_cast<Factor>(p.alpha));
    if (p.beta != 0) {
      sum =
          sum + static_cast<ProductSum<T>>(static_cast<Factor>(p.beta)) * load_factor<T>(p.out, at);
    }
    store<T>(p.out, at, rounded<T>(sum));
  }
}

/** A block per product and tile (rows, columns) of it. */
template <typename T, int rows, int columns>
MLX_FN void multiply_tiles(const Products& p) {
  constexpr int across = columns / product_columns, down = product_threads / across;
  constexpr int own_rows = rows / down;
  __shared__ ProductSum<T> a_tile[product_depth][rows + 1], b_tile[product_depth][columns + 1];
  int64_t tiles_across = (p.n + columns - 1) / columns, tiles_down = (p.m + rows - 1) / rows;
  int64_t block = blockIdx.x, number = block / (tiles_across * tiles_down);
  int64_t row = block / tiles_across % tiles_down * rows, column = block % tiles_across * columns;
  int64_t a_offset, b_offset, begin, end;
  if (!find_matrix(p.a, number, p.fault, a_offset) ||
      !find_matrix(p.b, number, p.fault, b_offset) || !find_segment(p, number, begin, end)) {
    return;
  }
  auto* a = static_cast<const Stored<T>*>(p.a.data) + a_offset + row * p.a.row;
  auto* b = static_cast<const Stored<T>*>(p.b.data) + b_offset + column * p.b.column;
  int tx = static_cast<int>(threadIdx.x) % across, ty = static_cast<int>(threadIdx.x) / across;
  ProductSum<T> sums[own_rows][product_columns] = {};
  for (int64_t k = begin; k < end; k += product_depth) {
    load_factors<T, rows>(a + k * p.a.column, p.a.row, p.a.column, p.m - row, end - k, a_tile);
    load_factors<T, columns>(b + k * p.b.row, p.b.column, p.b.row, p.n - column, end - k, b_tile);
    __syncthreads();
#pragma unroll
    for (int deep = 0; deep < product_depth; deep++) {
#pragma unroll
      for (int i = 0; i < own_rows; i++) {
#pragma unroll
        for (int j = 0; j < product_columns; j++) {
          add_product<T>(sums[i][j], a_tile[deep][ty + i * down], b_tile[deep][tx + j * across]);
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < own_rows; i++) {
#pragma unroll
    for (int j = 0; j < product_columns; j++) {
      int64_t r = row + ty + i * down, c = column + tx + j * across;
      if (r < p.m && c < p.n) store_product<T>(p, number * p.out_batch + r * p.n + c, sums[i][j]);
    }
  }
}

}  // namespace mlx::core::kernels
