// LU, systems of equations and inverses on the CPU. Systems are solved in row-major memory, which
// holds the transposes: X^T A^T = B^T, where A^T = P L U.
#include <algorithm>
#include <numeric>
#include <vector>

#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/lapack.h"
#include "mlx/backend/cpu/linalg.h"
#include "mlx/backend/cpu/linalg_panels.h"
#include "mlx/backend/cpu/lu_kernels.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/parallel.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cpu {

namespace {

template <typename T>
constexpr bool has_kernels = !Lapack<T>::complex;

/** LU in place of a column-major matrix. */
template <typename T>
class Factoring {
 public:
  Factoring(T* a, int m, int n, int* pivots)
      : a_(a),
        m_(m),
        n_(n),
        k_(std::min(m, n)),
        pivots_(pivots),
        panel_size_(size_of_panel()),
        space_(panel_size_ * kept_panels * sizeof(T)) {}

  /** Pivots count from 1. Returns LAPACK's info. */
  int run() {
    auto factor = [this](int panel) { this->factor(panel); };
    auto finish = [this](int panel) { unpack(panel); };
    auto apply = [this](int panel, int column, int count) { this->apply(panel, column, count); };
    run_panels({k_, n_, columns_of_task, factor, finish, apply});
    for (int j = 0; j < k_; j++) {
      pivots_[j] += j / lu_panel * lu_panel;
    }
    exchange_left();
    return first_zero_;
  }

 private:
  static constexpr int columns_of_task = has_kernels<T> ? 16 : lu_panel;

  int64_t size_of_panel() const {
    if constexpr (has_kernels<T>) {
      return lu_kernels_of<T>().panel_size(m_, std::min(lu_panel, k_));
    } else {
      return 0;
    }
  }

  T* at(int64_t row, int64_t column) const { return a_ + row + column * m_; }

  int end_of(int panel) const { return std::min(k_, (panel + 1) * lu_panel); }

  LuPanel<T> packed(int panel) const {
    int j = panel * lu_panel;
    return {space_.template as<T>() + panel % kept_panels * panel_size_, m_ - j, end_of(panel) - j,
            pivots_ + j};
  }

  void factor(int panel) {
    int j = panel * lu_panel, info = 0;
    if constexpr (has_kernels<T>) {
      info = lu_kernels_of<T>().factor(packed(panel), at(j, j), m_);
    } else {
      int width = end_of(panel) - j, height = m_ - j;
      lapack_.getrf(&height, &width, at(j, j), &m_, pivots_ + j, &info);
    }
    first_zero_ = first_zero_ == 0 && info > 0 ? info + j : first_zero_;
  }

  void unpack(int panel) const {
    if constexpr (has_kernels<T>) {
      int j = panel * lu_panel;
      lu_kernels_of<T>().unpack(packed(panel), at(j, j), m_);
    }
  }

  void apply(int panel, int column, int count) const {
    int j = panel * lu_panel;
    if constexpr (has_kernels<T>) {
      lu_kernels_of<T>().apply(packed(panel), at(j, column), m_, count);
    } else {
      const int step = 1, width = end_of(panel) - j, below = m_ - j - width;
      const T one = 1, minus_one = -1;
      T *upper = at(j, column), *rest = upper + width;
      lapack_.laswp(&count, upper, &m_, &step, &width, pivots_ + j, &step);
      lapack_.trsm("L", "L", "N", "U", &width, &count, &one, at(j, j), &m_, upper, &m_, 1, 1, 1, 1);
      if (below > 0) {
        lapack_.gemm("N", "N", &below, &count, &width, &minus_one, at(j + width, j), &m_, upper,
                     &m_, &one, rest, &m_, 1, 1);
      }
    }
  }

  /** What later panels exchange, in the columns of those before them. */
  void exchange_left() const {
    for_blocks((k_ - 1) / lu_panel * lu_panel, [&](int begin, int end) {
      for (int column = begin; column < end; column++) {
        T* rows = at(0, column);
        for (int i = end_of(column / lu_panel); i < k_; i++) {
          std::swap(rows[i], rows[pivots_[i] - 1]);
        }
      }
    });
  }

  const Lapack<T>& lapack_ = Lapack<T>::instance();
  T* a_;
  int m_, n_, k_;
  int* pivots_;
  int64_t panel_size_;
  Scratch space_;
  int first_zero_ = 0;
};

template <typename T>
int factor(T* a, int m, int n, int* pivots) {
  return Factoring<T>(a, m, n, pivots).run();
}

/** Which column of Y is that of Y P^-1. */
std::vector<int> order_of_columns(const int* pivots, int n) {
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  for (int j = n - 1; j >= 0; j--) {
    std::swap(order[j], order[pivots[j] - 1]);
  }
  return order;
}

/** Rows of X = B U^-1 L^-1 P^-1, packed in tiles, which stay in a cache. */
template <typename T>
class Rows {
 public:
  Rows(int n, int count)
      : n_(n),
        count_(count),
        tiles_((count + tile() - 1) / tile()),
        space_(tiles_ * tile_size() * sizeof(T)) {}

  static int tile() {
    if constexpr (has_kernels<T>) {
      return lu_kernels_of<T>().tile;
    } else {
      return 16;
    }
  }

  void load(const T* b, int64_t stride) {
    for_parts([&](T* column, int row, int rows, int j) {
      std::fill(std::copy_n(b + row + j * stride, rows, column), column + tile(), T{});
    });
  }

  /** Rows of the identity, from `first` on. */
  void load_identity(int first) {
    for_parts([&](T* column, int row, int, int j) {
      std::fill_n(column, tile(), T{});
      int one = j - first - row;
      if (one >= 0 && one < tile()) {
        column[one] = T{1};
      }
    });
  }

  /** B has zeros before column `first`. */
  void divide(const T* lu, int first) {
    T* x = space_.template as<T>();
    if constexpr (has_kernels<T>) {
      lu_kernels_of<T>().divide(lu, n_, x, tiles_, first, n_);
    } else {
      const T one = 1;
      const int rows = tile();
      for (int i = 0; i < tiles_; i++, x += tile_size()) {
        for (const char* side : {"U", "L"}) {
          Lapack<T>::instance().trsm("R", side, "N", *side == 'U' ? "N" : "U", &rows, &n_, &one, lu,
                                     &n_, x, &rows, 1, 1, 1, 1);
        }
      }
    }
  }

  void store(const std::vector<int>& order, T* x, int64_t stride) {
    for_parts([&](T* column, int row, int rows, int j) {
      std::copy_n(column + int64_t{order[j] - j} * tile(), rows, x + row + j * stride);
    });
  }

 private:
  int64_t tile_size() const { return int64_t{tile()} * n_; }

  /** Calls f for every column of every tile, with its first row and how many there are. */
  template <typename F>
  void for_parts(F f) {
    T* column = space_.template as<T>();
    for (int row = 0; row < count_; row += tile()) {
      for (int j = 0; j < n_; j++, column += tile()) {
        f(column, row, std::min(tile(), count_ - row), j);
      }
    }
  }

  int n_, count_, tiles_;
  Scratch space_;
};

/** f(begin, end) over rows in parallel, in whole tiles: several, which share what they read of a
 *  matrix, where threads have enough. */
template <typename T>
void for_rows(int rows, FunctionRef<void(int begin, int end)> f) {
  constexpr int shared_by = 64;
  int tile = Rows<T>::tile(), tiles = (rows + tile - 1) / tile;
  int grain = rows >= shared_by * num_threads() ? shared_by / tile : 1;
  parallel_for(tiles, grain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i += grain) {
      f(static_cast<int>(i * tile),
        static_cast<int>(std::min<int64_t>(rows, std::min(last, i + grain) * tile)));
    }
  });
}

template <typename T>
void solve(const T* lu, const int* pivots, T* x, int n, int k) {
  std::vector<int> order = order_of_columns(pivots, n);
  for_rows<T>(k, [&](int begin, int end) {
    Rows<T> rows(n, end - begin);
    rows.load(x + begin, k);
    rows.divide(lu, 0);
    rows.store(order, x + begin, k);
  });
}

template <typename T>
void invert(const T* lu, const int* pivots, T* x, int n) {
  std::vector<int> order = order_of_columns(pivots, n);
  for_rows<T>(n, [&](int begin, int end) {
    Rows<T> rows(n, end - begin);
    rows.load_identity(begin);
    rows.divide(lu, begin);
    rows.store(order, x + begin, n);
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
          solve(lu, pivots.data(), solution, n, k);
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

const Register<LU> registered_lu(eval_lu);
const Register<Solve> registered_solve(eval_solve);
const Register<Inverse> registered_inverse(eval_inverse);

}  // namespace

}  // namespace mlx::core::cpu
