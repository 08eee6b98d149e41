// The arguments of kernels that decompose small matrices, and of those around the libraries' calls.
// Shared by host and device.
#pragma once

#include "mlx/backend/cuda/kernels/fault.h"

namespace mlx::core::kernels {

/** Addresses of `count` matrices that are `step` bytes apart. */
struct MatrixAddresses {
  int64_t count, step;
  const char* first;
  const char** addresses;
};

/** One triangle of matrices (column major, `stride` from column to column and `step` from matrix to
 *  matrix) into dense ones of rows by columns, zeros in the other triangle. */
struct Triangles {
  int64_t count, rows, columns, stride, step;
  int64_t upper;
  const void* from;
  void* to;
};

/** The number, from 1, of the first zero on each diagonal, or 0; `along` elements from one of the
 *  diagonal to the next, `step` between matrices. */
struct Diagonals {
  int64_t count, n, along, step;
  const void* from;
  int32_t* infos;
};

/** Exchanges of rows, counted from 1, as pivots from 0 and as the order of rows that they make. */
struct Exchanges {
  int64_t count, exchanged, rows;
  const int32_t* given;
  uint32_t *pivots, *order;
};

/** Matrices of `size` elements and what was found of each. */
struct Screening {
  int64_t count, size;
  int32_t code;  // what stands for matrices with elements that are not finite
  int32_t nan;   // whether they become NaN or zero
  void* elements;
  int32_t* infos;
};

/** Square matrices of ones on the diagonal. */
struct Identities {
  int64_t count, rows, columns;
  void* to;
};

/** Conjugates numbers in place. */
struct Conjugates {
  int64_t count;
  void* numbers;
};

/** Eigenvectors of real matrices, of which pairs of columns are real and imaginary part of one
 *  vector and a conjugate one. Values are real parts, and after them imaginary parts. */
struct PackedVectors {
  int64_t n;
  const void *values, *vectors;
  void *out_values, *out_vectors;
};

/** Reports the first matrix of which one of two infos is not 0; the second may be null. */
struct MatrixInfos {
  int64_t count;
  FaultOp op;
  int32_t unused;
  const int32_t *infos, *others;
  Fault* fault;
};

/** LU of small matrices by strides; in the packed result they are column major. */
struct SmallLU {
  int64_t rows, columns, row_stride, column_stride, step;
  const void* from;
  void* packed;
  uint32_t *pivots, *order;
};

/** A X = B of small dense row-major matrices; B is the identity where it is null. */
struct SmallSystems {
  int64_t n, columns;
  const void *matrices, *right;
  void* solutions;
  int32_t* infos;
};

/** Q R of small matrices by strides; Q and R are column major. */
struct SmallQR {
  int64_t rows, columns, row_stride, column_stride, step;
  const void* from;
  void *q, *r;
};

inline constexpr int largest_small_svd = 128;

/** U S V^H of small column-major matrices. Of U and V^T, one has columns as long as the matrix's
 *  longer side, of which there are `long_columns`; the other is square. Null for values alone. */
struct SmallSVD {
  int64_t rows, columns, long_columns;
  const void* from;
  void *values, *longs, *shorts;
  int32_t* infos;
};

}  // namespace mlx::core::kernels
