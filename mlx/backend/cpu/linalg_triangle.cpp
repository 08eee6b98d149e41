// Triangular systems by halves: between those of the first and of the second half of the columns
// stands a product.
#include "mlx/backend/cpu/linalg_triangle.h"

#include <complex>
#include <type_traits>

#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/backend/cpu/lapack.h"
#include "mlx/backend/cpu/triangle_kernels.h"

namespace mlx::core::cpu {

namespace {

constexpr int smallest = 32;  // columns that are solved for one after the other

template <typename T>
constexpr Dtype dtype_of() {
  using Real = typename RealPart<T>::type;
  constexpr bool single = std::is_same_v<Real, float>;
  return std::is_same_v<T, Real> ? stored_dtype<Real> : single ? complex64 : complex128;
}

/** Columns of the first half: a power of two times the smallest. */
int half_of(int n) {
  int half = smallest;
  while (2 * half < n) {
    half *= 2;
  }
  return half;
}

template <typename T>
void divide_by_small(bool upper, const T* triangle, int64_t stride, T* x, int64_t x_stride,
                     int rows, int n) {
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    const TriangleTables& tables = triangle_kernels();
    const TriangleKernels<T>* kernels;
    if constexpr (std::is_same_v<T, float>) {
      kernels = &tables.f32;
    } else {
      kernels = &tables.f64;
    }
    (upper ? kernels->upper : kernels->unit_lower)({triangle, stride, x, x_stride, rows, n});
  } else {
    const T one = 1;
    int lda = static_cast<int>(stride), ldx = static_cast<int>(x_stride);
    Lapack<T>::instance().trsm("R", upper ? "U" : "L", "N", upper ? "N" : "U", &rows, &n, &one,
                               triangle, &lda, x, &ldx, 1, 1, 1, 1);
  }
}

}  // namespace

template <typename T>
void subtract_product(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_stride, const T* b,
                      int64_t b_stride, T* c, int64_t c_stride) {
  Gemm g;  // in rows, of which those of c are its columns
  g.dtype = dtype_of<T>();
  g.m = n;
  g.n = m;
  g.k = k;
  g.a = {b, b_stride, 1, nullptr};
  g.b = {a, 1, a_stride, nullptr};
  g.out = c;
  g.out_row_stride = c_stride;
  g.c = c;
  g.c_row_stride = c_stride;
  g.c_col_stride = 1;
  g.alpha = -1;
  gemm(g);
}

template <typename T>
void divide_by_upper(const T* u, int64_t u_stride, T* x, int64_t x_stride, int rows, int n) {
  if (n <= smallest) {
    return divide_by_small(true, u, u_stride, x, x_stride, rows, n);
  }
  int half = half_of(n);
  divide_by_upper(u, u_stride, x, x_stride, rows, half);
  const T* right = u + half * u_stride;
  T* rest = x + half * x_stride;
  subtract_product(rows, n - half, half, x, x_stride, right, u_stride, rest, x_stride);
  divide_by_upper(right + half, u_stride, rest, x_stride, rows, n - half);
}

template <typename T>
void divide_by_unit_lower(const T* l, int64_t l_stride, T* x, int64_t x_stride, int rows, int n) {
  if (n <= smallest) {
    return divide_by_small(false, l, l_stride, x, x_stride, rows, n);
  }
  int half = half_of(n);
  T* rest = x + half * x_stride;
  divide_by_unit_lower(l + half * (l_stride + 1), l_stride, rest, x_stride, rows, n - half);
  subtract_product(rows, half, n - half, rest, x_stride, l + half, l_stride, x, x_stride);
  divide_by_unit_lower(l, l_stride, x, x_stride, rows, half);
}

#define MLX_TRIANGLES(T)                                                                          \
  template void subtract_product(int64_t, int64_t, int64_t, const T*, int64_t, const T*, int64_t, \
                                 T*, int64_t);                                                    \
  template void divide_by_upper(const T*, int64_t, T*, int64_t, int, int);                        \
  template void divide_by_unit_lower(const T*, int64_t, T*, int64_t, int, int);
MLX_TRIANGLES(float)
MLX_TRIANGLES(double)
MLX_TRIANGLES(std::complex<float>)
MLX_TRIANGLES(std::complex<double>)
#undef MLX_TRIANGLES

}  // namespace mlx::core::cpu
