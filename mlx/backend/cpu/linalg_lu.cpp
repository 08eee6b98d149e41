// LU, systems of equations and inverses on the CPU. Systems are solved in row-major memory, which
// holds the transposes: X^T A^T = B^T, where A^T = P L U.
#include <algorithm>
#include <atomic>
#include <numeric>
#include <type_traits>
#include <vector>

#include <sched.h>

#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/lapack.h"
#include "mlx/backend/cpu/linalg.h"
#include "mlx/backend/cpu/lu_kernels.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/parallel.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cpu {

namespace {

template <typename T>
constexpr bool has_kernels = !Lapack<T>::complex;

template <typename T>
const LuKernels<T>& kernels() {
  if constexpr (std::is_same_v<T, float>) {
    return lu_kernels().f32;
  } else {
    return lu_kernels().f64;
  }
}

/** Offers the core to others when what a thread waits for takes long. */
class Patience {
 public:
  void wait() {
    if (spins_++ < spins_before_yield) {
      __builtin_ia32_pause();
    } else {
      sched_yield();
    }
  }

 private:
  static constexpr int spins_before_yield = 4096;
  int spins_ = 0;
};

/** LU in place of a column-major matrix, by panels of columns. What a panel does to the blocks of
 *  columns on its right are tasks, which threads take as they come; the one that brings the next
 *  panel up to date factors it, while others still work on the rest. Nothing depends on who does
 *  what. */
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
        space_(panel_size_ * kept_panels * sizeof(T)),
        panels_((k_ + lu_panel - 1) / lu_panel),
        tasks_((n + columns_of_task - 1) / columns_of_task) {}

  /** Pivots count from 1. Returns LAPACK's info. */
  int run() {
    factor_panel(0);
    if (end_of(0) < n_) {
      parallel_for(num_threads(), 1, [&](int64_t, int64_t) { work(); });
    }
    for (int j = 0; j < k_; j++) {
      pivots_[j] += j / lu_panel * lu_panel;
    }
    exchange_left();
    return first_zero_;
  }

 private:
  static constexpr int columns_of_task = has_kernels<T> ? 16 : lu_panel, kept_panels = 3;

  struct PanelState {
    std::atomic<int> awaited{0};     // tasks that bring its columns up to date
    std::atomic<int> unfinished{0};  // tasks that read it
  };

  int64_t size_of_panel() const {
    if constexpr (has_kernels<T>) {
      return kernels<T>().panel_size(m_, std::min(lu_panel, k_));
    } else {
      return 0;
    }
  }

  T* at(int64_t row, int64_t column) const { return a_ + row + column * m_; }

  int panel_count() const { return static_cast<int>(panels_.size()); }
  int task_count() const { return static_cast<int>(tasks_.size()); }
  int end_of(int panel) const { return std::min(k_, (panel + 1) * lu_panel); }
  int first_task(int panel) const { return end_of(panel) / columns_of_task; }

  /** The end of the tasks whose columns the next panel needs. */
  int urgent_end(int panel) const {
    if (panel + 1 == panel_count()) {
      return first_task(panel);
    }
    return (end_of(panel + 1) + columns_of_task - 1) / columns_of_task;
  }

  void work() {
    for (int panel = 0; panel < panel_count() && end_of(panel) < n_; panel++) {
      Patience patience;
      while (factored_.load(std::memory_order_acquire) <= panel) {
        patience.wait();
      }
      while (!take_tasks(panel)) {
        patience.wait();
      }
    }
  }

  /** Those the next panel waits for come first, then those that this thread had before, whose
   *  columns are in its cache. Returns whether all have been taken. */
  bool take_tasks(int panel) {
    int threads = num_threads(), urgent = urgent_end(panel);
    bool all = true;
    for (int task = first_task(panel); task < urgent; task++) {
      all &= take(task, panel);
    }
    for (int shift = 0; shift < threads; shift++) {
      int first = (thread_index() + shift - urgent % threads + threads) % threads;
      for (int task = urgent + first; task < task_count(); task += threads) {
        all &= take(task, panel);
      }
    }
    return all;
  }

  /** Does a task unless another thread does, or has not finished with its columns. Returns whether
   *  it has been taken. */
  bool take(int task, int panel) {
    int done = tasks_[task].load(std::memory_order_acquire);
    if (done != 2 * panel) {
      return done > 2 * panel;
    }
    if (!tasks_[task].compare_exchange_strong(done, done + 1, std::memory_order_acquire)) {
      return done > 2 * panel;
    }
    int begin = std::max(task * columns_of_task, end_of(panel));
    apply(panel, begin, std::min(n_, (task + 1) * columns_of_task) - begin);
    tasks_[task].store(2 * panel + 2, std::memory_order_release);
    panels_[panel].unfinished.fetch_sub(1, std::memory_order_release);
    if (task < urgent_end(panel) &&
        panels_[panel + 1].awaited.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      factor_panel(panel + 1);
    }
    return true;
  }

  LuPanel<T> packed(int panel) const {
    int j = panel * lu_panel;
    return {space_.template as<T>() + panel % kept_panels * panel_size_, m_ - j, end_of(panel) - j,
            pivots_ + j};
  }

  void factor_panel(int panel) {
    int j = panel * lu_panel, info = 0;
    panels_[panel].unfinished = task_count() - first_task(panel) + 1;
    if (panel + 1 < panel_count()) {
      panels_[panel + 1].awaited = urgent_end(panel) - first_task(panel);
    }
    wait_for_space(panel);
    if constexpr (has_kernels<T>) {
      info = kernels<T>().factor(packed(panel), at(j, j), m_);
    } else {
      int width = end_of(panel) - j, height = m_ - j;
      lapack_.getrf(&height, &width, at(j, j), &m_, pivots_ + j, &info);
    }
    first_zero_ = first_zero_ == 0 && info > 0 ? info + j : first_zero_;
    factored_.store(panel + 1, std::memory_order_release);
    if constexpr (has_kernels<T>) {
      kernels<T>().unpack(packed(panel), at(j, j), m_);
    }
    panels_[panel].unfinished.fetch_sub(1, std::memory_order_release);
  }

  /** The panel that lies there has no tasks that nobody has taken, but some may be running. */
  void wait_for_space(int panel) const {
    Patience patience;
    while (panel >= kept_panels &&
           panels_[panel - kept_panels].unfinished.load(std::memory_order_acquire) > 0) {
      patience.wait();
    }
  }

  void apply(int panel, int column, int count) const {
    int j = panel * lu_panel;
    if constexpr (has_kernels<T>) {
      kernels<T>().apply(packed(panel), at(j, column), m_, count);
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
    for_blocks((panel_count() - 1) * lu_panel, [&](int begin, int end) {
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
  std::vector<PanelState> panels_;
  std::vector<std::atomic<int>> tasks_;  // twice the panels that were applied, and 1 while one is
  std::atomic<int> factored_{0};
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
      return kernels<T>().tile;
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
      kernels<T>().divide(lu, n_, x, tiles_, first, n_);
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
