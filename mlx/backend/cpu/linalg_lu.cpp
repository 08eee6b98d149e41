// LU, systems of equations and inverses on the CPU. Systems are solved in row-major memory, which
// holds the transposes: X^T A^T = B^T, where A^T = P L U.
#include <algorithm>
#include <numeric>

#include "mlx/backend/cpu/lapack.h"
#include "mlx/backend/cpu/linalg.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cpu {

namespace {

constexpr int block = 64;

/** LU in place of a column-major matrix; pivots count from 1. Returns LAPACK's info. */
template <typename T>
int factor(T* a, int m, int n, int* pivots) {
  const auto& lapack = Lapack<T>::instance();
  const T one = 1, minus_one = -1;
  const int step = 1, k = std::min(m, n);
  auto at = [&](int64_t row, int64_t column) { return a + row + column * m; };
  int first_zero = 0;
  for (int j = 0; j < k; j += block) {
    int width = k < 4 * block ? k : std::min(block, k - j), below = m - j - width, info = 0;
    int height = m - j, first = j + 1, last = j + width, after = j + width;
    lapack.getrf(&height, &width, at(j, j), &m, pivots + j, &info);
    first_zero = first_zero == 0 && info > 0 ? info + j : first_zero;
    std::for_each(pivots + j, pivots + after, [&](int& p) { p += j; });
    for_blocks(n - width, [&](int begin, int end) {
      int before = std::clamp(j - begin, 0, end - begin), right = end - begin - before;
      if (before > 0) {
        lapack.laswp(&before, at(0, begin), &m, &first, &last, pivots, &step);
      }
      if (right > 0) {
        int column = begin + before + width;
        lapack.laswp(&right, at(0, column), &m, &first, &last, pivots, &step);
        lapack.trsm("L", "L", "N", "U", &width, &right, &one, at(j, j), &m, at(j, column), &m, 1, 1,
                    1, 1);
        if (below > 0) {
          lapack.gemm("N", "N", &below, &right, &width, &minus_one, at(after, j), &m, at(j, column),
                      &m, &one, at(after, column), &m, 1, 1);
        }
      }
    });
    if (width == k) {
      break;
    }
  }
  return first_zero;
}

/** Exchanges columns of X^T as the inverse of P does; `stride` from column to column. */
template <typename T>
void exchange_columns(T* x, int64_t stride, int count, int n, const int* pivots) {
  for (int j = n - 1; j >= 0; j--) {
    if (pivots[j] != j + 1) {
      std::swap_ranges(x + j * stride, x + j * stride + count, x + (pivots[j] - 1) * stride);
    }
  }
}

template <typename T>
void divide(const T* lu, const int* pivots, T* x, int n, int k) {
  const auto& lapack = Lapack<T>::instance();
  const T one = 1;
  for_blocks(k, [&](int begin, int end) {
    int count = end - begin;
    lapack.trsm("R", "U", "N", "N", &count, &n, &one, lu, &n, x + begin, &k, 1, 1, 1, 1);
    lapack.trsm("R", "L", "N", "U", &count, &n, &one, lu, &n, x + begin, &k, 1, 1, 1, 1);
    exchange_columns(x + begin, k, count, n, pivots);
  });
}

/** The inverse by X L = U^-1; returns LAPACK's info. */
template <typename T>
int invert(const T* lu, const int* pivots, T* x, int n) {
  const auto& lapack = Lapack<T>::instance();
  const T one = 1;
  for (int64_t j = 0; j < n; j++) {
    std::copy(lu + j * n, lu + j * n + j + 1, x + j * n);
    std::fill(x + j * n + j + 1, x + (j + 1) * n, T{});
  }
  int info = 0;
  lapack.trtri("U", "N", &n, x, &n, &info, 1, 1);
  if (info != 0) {
    return info;
  }
  for_blocks(n, [&](int begin, int end) {
    int count = end - begin;
    lapack.trsm("R", "L", "N", "U", &count, &n, &one, lu, &n, x + begin, &n, 1, 1, 1, 1);
    exchange_columns(x + begin, n, count, n, pivots);
  });
  return 0;
}

template <typename T>
void factor_all(array& a, array& pivots, array& rows) {
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  T* matrices = elements<T>(a);
  for_matrices(
      "linalg::lu", matrix_count(a), double(m) * n * k, true,
      [&](int64_t i) {
        std::vector<int> exchanged(k);
        factor(matrices + i * m * n, m, n, exchanged.data());
        uint32_t* pivot = pivots.data<uint32_t>() + i * k;
        uint32_t* row = rows.data<uint32_t>() + i * m;
        std::iota(row, row + m, 0u);
        for (int j = 0; j < k; j++) {
          pivot[j] = exchanged[j] - 1;
          std::swap(row[j], row[pivot[j]]);
        }
        return 0;
      },
      zero_pivot);
}

/** Solves in x, row major; without right-hand sides x becomes the inverses. */
template <typename T>
void solve_all(const char* op, array& a, array& x, bool inverses) {
  int n = x.shape(-2), k = x.shape(-1);
  int64_t size = int64_t{n} * n;
  T *matrices = elements<T>(a), *solutions = elements<T>(x);
  for_matrices(
      op, matrix_count(x), double(size) * (n + k), true,
      [&](int64_t i) {
        std::vector<int> pivots(n);
        T *lu = matrices + i * size, *solution = solutions + i * n * k;
        int info = factor(lu, n, n, pivots.data());
        if (info != 0) {
          return info;
        }
        if (inverses) {
          return invert(lu, pivots.data(), solution, n);
        }
        divide(lu, pivots.data(), solution, n, k);
        return 0;
      },
      zero_pivot);
}

void eval_lu(LU&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array a = columns_copy(inputs[0]);
  for (int i : {1, 2}) {
    outputs[i].set_data(allocator::malloc(outputs[i].nbytes()));
  }
  if (outputs[2].size() > 0) {
    with_matrix_type(a.dtype(),
                     [&](auto t) { factor_all<decltype(t)>(a, outputs[1], outputs[2]); });
  }
  take_buffer(a, outputs[0], a.strides());
}

void eval_solve(Solve&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array a = rows_copy(inputs[0]), x = rows_copy(inputs[1]);
  if (x.size() > 0) {
    with_matrix_type(a.dtype(),
                     [&](auto t) { solve_all<decltype(t)>("linalg::solve", a, x, false); });
  }
  take_buffer(x, outputs[0], x.strides());
}

void eval_inverse(Inverse&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array a = rows_copy(inputs[0]);
  array& x = outputs[0];
  x.set_data(allocator::malloc(x.nbytes()));
  if (x.size() > 0) {
    with_matrix_type(a.dtype(), [&](auto t) { solve_all<decltype(t)>("linalg::inv", a, x, true); });
  }
}

const Register<LU> lu(eval_lu);
const Register<Solve> solve(eval_solve);
const Register<Inverse> inverse(eval_inverse);

}  // namespace

}  // namespace mlx::core::cpu
