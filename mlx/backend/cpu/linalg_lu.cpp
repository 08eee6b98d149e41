// LU, systems of equations and inverses on the CPU. Systems are solved in row-major memory, which
// holds the transposes: X^T A^T = B^T, where A^T = P L U.
#include <algorithm>
#include <numeric>

#include "mlx/backend/cpu/lapack.h"
#include "mlx/backend/cpu/linalg.h"
#include "mlx/backend/cpu/linalg_triangle.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/parallel.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cpu {

namespace {

constexpr int block = 64;

/** LU in place of a column-major matrix, by panels of columns. Each is factored as soon as its own
 *  columns are up to date, while other threads still bring the rest there. */
template <typename T>
class Factoring {
 public:
  Factoring(T* a, int m, int n, int* pivots)
      : a_(a), m_(m), n_(n), k_(std::min(m, n)), pivots_(pivots) {}

  /** Pivots count from 1. Returns LAPACK's info. */
  int run() {
    factor_panel(0);
    for (int j = 0; j < k_; j += width_at(j)) {
      int after = j + width_at(j), next = after < k_ ? width_at(after) : 0;
      for_blocks_after([&] { next_panel(j, after, next); }, j + n_ - after - next,
                       [&](int begin, int end) {
                         int before = std::clamp(j - begin, 0, end - begin);
                         exchange(j, begin, before);
                         update(j, after + next + begin + before - j, end - begin - before);
                       });
    }
    return first_zero_;
  }

 private:
  T* at(int64_t row, int64_t column) const { return a_ + row + column * m_; }

  int width_at(int j) const { return k_ < 4 * block ? k_ : std::min(block, k_ - j); }

  void next_panel(int j, int after, int width) {
    if (width > 0) {
      update(j, after, width);
      factor_panel(after);
    }
  }

  void factor_panel(int j) {
    int width = width_at(j), height = m_ - j, info = 0;
    lapack_.getrf(&height, &width, at(j, j), &m_, pivots_ + j, &info);
    first_zero_ = first_zero_ == 0 && info > 0 ? info + j : first_zero_;
    std::for_each(pivots_ + j, pivots_ + j + width, [&](int& p) { p += j; });
  }

  /** What the panel at j exchanges, in `count` columns. */
  void exchange(int j, int column, int count) const {
    const int step = 1, first = j + 1, last = j + width_at(j);
    if (count > 0) {
      lapack_.laswp(&count, at(0, column), &m_, &first, &last, pivots_, &step);
    }
  }

  /** What the panel at j leaves of `count` columns to its right. */
  void update(int j, int column, int count) const {
    if (count <= 0) {
      return;
    }
    const T one = 1;
    int width = width_at(j), below = m_ - j - width;
    exchange(j, column, count);
    lapack_.trsm("L", "L", "N", "U", &width, &count, &one, at(j, j), &m_, at(j, column), &m_, 1, 1,
                 1, 1);
    if (below > 0) {
      subtract_product(below, count, width, at(j + width, j), m_, at(j, column), m_,
                       at(j + width, column), m_);
    }
  }

  const Lapack<T>& lapack_ = Lapack<T>::instance();
  T* a_;
  int m_, n_, k_;
  int* pivots_;
  int first_zero_ = 0;
};

template <typename T>
int factor(T* a, int m, int n, int* pivots) {
  return Factoring<T>(a, m, n, pivots).run();
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
  for_blocks(k, [&](int begin, int end) {
    int count = end - begin;
    divide_by_upper(lu, n, x + begin, k, count, n);
    divide_by_unit_lower(lu, n, x + begin, k, count, n);
    exchange_columns(x + begin, k, count, n, pivots);
  });
}

/** Rows [begin, end) of X = U^-1 L^-1 P, from those of the identity; in U^-1 they begin with
 *  zeros. */
template <typename T>
void invert_rows(const T* lu, const int* pivots, T* x, int n, int begin, int end) {
  int count = end - begin;
  T* rows = x + begin;
  for (int64_t j = 0; j < n; j++) {
    std::fill_n(rows + j * n, count, T{});
  }
  T* first = rows + int64_t{begin} * n;  // of what is not zero
  for (int64_t j = 0; j < count; j++) {
    first[j * n + j] = 1;
  }
  divide_by_upper(lu + begin * (int64_t{n} + 1), n, first, n, count, n - begin);
  divide_by_unit_lower(lu, n, rows, n, count, n);
  exchange_columns(rows, n, count, n, pivots);
}

template <typename T>
void invert(const T* lu, const int* pivots, T* x, int n) {
  constexpr int64_t rows = 64;
  parallel_for((n + rows - 1) / rows, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
      int64_t end = std::min<int64_t>(n, (i + 1) * rows);
      invert_rows(lu, pivots, x, n, static_cast<int>(i * rows), static_cast<int>(end));
    }
  });
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
          invert(lu, pivots.data(), solution, n);
        } else {
          divide(lu, pivots.data(), solution, n, k);
        }
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
