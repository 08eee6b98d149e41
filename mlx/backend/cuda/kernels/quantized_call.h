// The arguments of products with quantised weights, and of what packs and unpacks them. Shared by
// host and device.
#pragma once

#include "mlx/backend/cuda/kernels/fault.h"

namespace mlx::core::kernels {

/** Rows of x that meet one matrix: `order[first]` .. `order[first + count - 1]`. */
struct RowTile {
  int32_t matrix, first, count;
};

/** Which matrices the products take: number i takes x_picks[i] of x_count and w_picks[i] of
 * w_count, or the ith without picks. */
struct ProductPicks {
  const int64_t *x, *w;
  int64_t x_count, w_count;
  Fault* fault;
};

/** out (products * rows, n) = x (rows, k) w (n, k)^T for each product. */
struct QuantizedProducts {
  const void* x;  // rows begin at multiples of 16 bytes
  const void* w;  // rows of k codes, packed in words
  const void *scales, *biases;
  const float* global_scale;  // or null
  void* out;
  int64_t products, rows, n, k;
  int64_t x_row, x_batch;                      // elements
  int64_t w_batch, scale_batch, global_batch;  // bytes, elements
  ProductPicks picks;
  const RowTile* tiles;  // where rows were sorted by matrix, else null
  const int32_t* order;
};

/** The kernels for few rows do up to so many products at a time. */
constexpr int most_quantized_parts = 4;

struct QuantizedRowsCall {
  int64_t resident;  // about as many blocks as run at a time
  int64_t overlaps;  // whether blocks start before they may begin
  int64_t parts, first_block[most_quantized_parts];
  QuantizedProducts part[most_quantized_parts];
};

/** Eights of codes that a thread unpacks. */
constexpr int quantized_unpack_each = 4;

/** A packed matrix that becomes numbers; whole rows lie one after the other. */
struct QuantizedMatrix {
  const void *packed, *scales, *biases;
  const float* global_scale;  // or null
  void* numbers;
  int64_t count, matrix;  // numbers, of all matrices and of each
  int64_t global_batch;
};

/** Numbers that become a packed matrix. */
struct QuantizedPacking {
  const void* numbers;
  const float* global_scale;  // or null
  void *packed, *scales, *biases;
  int64_t count, matrix;
  int64_t global_batch;
};

/** Sorts the rows of all products by the matrix that they meet, into tiles of at most `most`. */
struct RowSort {
  ProductPicks picks;
  int64_t products, rows;
  int32_t most, tile_count;  // tiles that there may be
  RowTile* tiles;
  int32_t* order;
};

}  // namespace mlx::core::kernels
