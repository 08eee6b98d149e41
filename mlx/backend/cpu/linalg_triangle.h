// Large products and systems with triangular matrices inside the decompositions: this library's
// products do most of the work, small triangles the rest. Matrices are column major, and a stride
// is that between columns.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

/** c -= a b, where a has m rows and k columns and b has n columns. */
template <typename T>
void subtract_product(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_stride, const T* b,
                      int64_t b_stride, T* c, int64_t c_stride);

/** Solves X U = B in place of the `rows` rows of B; U is the upper triangle of an n x n matrix. */
template <typename T>
void divide_by_upper(const T* u, int64_t u_stride, T* x, int64_t x_stride, int rows, int n);

/** The same with the lower triangle, whose diagonal counts as ones. */
template <typename T>
void divide_by_unit_lower(const T* l, int64_t l_stride, T* x, int64_t x_stride, int rows, int n);

}  // namespace mlx::core::cpu
