// A panel is factored by a few columns at a time, which stay in the first cache; what it does to
// columns on its right. Sums are taken in the order of columns everywhere, so that they do not
// depend on how the work was divided. Included only by *.isa.cpp files.
#pragma once

#include <limits>
#include <type_traits>

#include "mlx/backend/cpu/lu_kernels.h"
#include "mlx/backend/cpu/lu_tiles.h"

namespace mlx::core::cpu::MLX_ISA::simd {

/** Columns of a panel that are factored one by one; their diagonal lies in one tile. */
constexpr int kNarrow = kTile<double> < 8 ? kTile<double> : 8;

static_assert(lu_panel % kTile<float> == 0 && kTile<double> % kNarrow == 0);

static inline float root_of(float x) { return __builtin_sqrtf(x); }
static inline double root_of(double x) { return __builtin_sqrt(x); }

static inline int smaller(int a, int b) { return a < b ? a : b; }

template <typename T>
static inline void exchange(T& a, T& b) {
  T was = a;
  a = b;
  b = was;
}

template <typename T>
class Panel {
 public:
  static constexpr int tile_rows = kTile<T>, lanes = kLanes<T>;

  explicit Panel(const LuPanel<T>& panel)
      : p_(panel), step_(step(panel.columns)), tiles_((panel.rows + tile_rows - 1) / tile_rows) {}

  /** From tile to tile: a column more than there are, or tiles would share the sets of a cache. */
  static int64_t step(int columns) { return int64_t{tile_rows} * (columns + 1); }

  T* tile(int i) const { return p_.tiles + i * step_; }
  int tiles() const { return tiles_; }
  int rows_of(int i) const { return smaller(tile_rows, p_.rows - i * tile_rows); }

  void pack(const T* a, int64_t stride) const {
    for (int i = 0; i < tiles_; ++i) {
      int rows = rows_of(i);
      for (int j = 0; j < p_.columns; ++j) {
        const T* from = a + j * stride + i * tile_rows;
        T* to = tile(i) + j * tile_rows;
        for (int r = 0; r < rows; ++r) to[r] = from[r];
        for (int r = rows; r < tile_rows; ++r) to[r] = 0;
      }
    }
  }

  void unpack(T* a, int64_t stride) const {
    for (int i = 0; i < tiles_; ++i) {
      int rows = rows_of(i);
      for (int j = 0; j < p_.columns; ++j) {
        const T* from = tile(i) + j * tile_rows;
        T* to = a + j * stride + i * tile_rows;
        for (int r = 0; r < rows; ++r) to[r] = from[r];
      }
    }
  }

  int factor() const {
    int first_zero = 0;
    for (int begin = 0; begin < p_.columns; begin += kNarrow) {
      int end = smaller(begin + kNarrow, p_.columns);
      for (int j = begin; j < end; ++j) {
        exchange(j, find_pivot(j));
        if (!eliminate(j, end) && first_zero == 0) first_zero = j + 1;
      }
      finish_rows(begin, end);
      const T* rows = tile(begin / tile_rows) + begin % tile_rows;
      for (int i = begin / tile_rows + 1; i < tiles_; ++i) {
        update(i, begin, end, rows, tile_rows);
      }
    }
    return first_zero;
  }

  /** The factor L of a positive matrix, whose upper triangle is neither read nor kept. Returns
   * which column, from 1, shows that it is none, or 0. */
  int factor_positive() const {
    for (int begin = 0; begin < p_.columns; begin += kNarrow) {
      int end = smaller(begin + kNarrow, p_.columns);
      for (int j = begin; j < end; ++j) {
        T pivot = at(j, j);
        if (!(pivot > 0)) return j + 1;
        eliminate_positive(j, end, root_of(pivot));
      }
      alignas(64) T rows[lu_panel * kNarrow];
      for (int c = end; c < p_.columns; ++c) copy_row(c, begin, end, rows + c * kNarrow);
      for (int i = begin / tile_rows; i < tiles_; ++i) {
        update(i, begin, end, rows, kNarrow);
      }
    }
    return 0;
  }

  /** Columns [begin, end) of a row. */
  void copy_row(int row, int begin, int end, T* to) const {
    const T* from = &at(row, 0);
    for (int j = begin; j < end; ++j) to[j - begin] = from[j * tile_rows];
  }

  /** The columns of the tile on the diagonal at `row`, with zeros on and above it. */
  void lower_triangle(int row, int begin, int end, T* out) const {
    const T* from = tile(row / tile_rows);
    for (int j = begin; j < end; ++j, out += tile_rows) {
      for (int r = 0; r < tile_rows; ++r) {
        out[r] = r > j % tile_rows ? from[j * tile_rows + r] : T{0};
      }
    }
  }

 private:
  T& at(int row, int column) const {
    return tile(row / tile_rows)[column * tile_rows + row % tile_rows];
  }

  using Index = Vec<std::conditional_t<sizeof(T) == 4, int32_t, int64_t>>;

  static inline Index lane_numbers() {
    Index numbers{};
    for (int l = 0; l < lanes; ++l) numbers[l] = l;
    return numbers;
  }

  /** The greatest of all lanes, or of integers the least, in each. */
  static inline Vec<T> greatest(Vec<T> x) {
    for (int step = lanes / 2; step > 0; step /= 2) {
      Vec<T> other = __builtin_shuffle(x, lane_numbers() + step);
      x = other > x ? other : x;
    }
    return x;
  }
  static inline Index least(Index x) {
    for (int step = lanes / 2; step > 0; step /= 2) {
      Index other = __builtin_shuffle(x, lane_numbers() + step);
      x = other < x ? other : x;
    }
    return x;
  }

  /** The first of the greatest numbers of column j, from its diagonal on. */
  int find_pivot(int j) const {
    const Index numbers[2] = {lane_numbers(), lane_numbers() + lanes};
    Vec<T> most[2] = {splat(T{0}), splat(T{0})};
    Index rows[2] = {Index{} + j, Index{} + j};
    int top = j / tile_rows;
    const T* column = tile(top) + j * tile_rows;
    for (int i = top; i < tiles_; ++i, column += step_) {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        Vec<T> x = load(column + v * lanes);
        Index row = numbers[v] + i * tile_rows;
        x = x < 0 ? -x : x;
        x = row < j ? Vec<T>{} : x;
        rows[v] = x > most[v] ? row : rows[v];
        most[v] = x > most[v] ? x : most[v];
      }
    }
    Vec<T> best = greatest(most[1] > most[0] ? most[1] : most[0]);
    Index none = Index{} + std::numeric_limits<int>::max();
    Index first = most[0] == best ? rows[0] : none, second = most[1] == best ? rows[1] : none;
    return static_cast<int>(least(second < first ? second : first)[0]);
  }

  void exchange(int j, int pivot) const {
    p_.pivots[j] = pivot + 1;
    if (pivot == j) return;
    T *one = &at(j, 0), *other = &at(pivot, 0);
    for (int c = 0, columns = p_.columns; c < columns; ++c)
      simd::exchange(one[c * tile_rows], other[c * tile_rows]);
  }

  /** Divides column j by its pivot and takes it from those up to `end`; whether there is one. */
  bool eliminate(int j, int end) const {
    T pivot = at(j, j);
    if (pivot == 0) return false;
    constexpr T least = std::numeric_limits<T>::min();
    bool invertible = pivot >= least || pivot <= -least;
    Vec<T> divisor = splat(pivot), factor = splat(invertible ? 1 / pivot : T{0});
    const T* upper = &at(j, 0);
    int top = j / tile_rows;
    T* columns = tile(top);
    for (int i = top; i < tiles_; ++i, columns += step_) {
      T* column = columns + j * tile_rows;
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        Vec<T> x = load(column + v * lanes), l = invertible ? x * factor : x / divisor;
        if (i == top) {
          auto below = lane_numbers() + v * lanes > j % tile_rows;
          store<T>(column + v * lanes, below ? l : x);
          l = below ? l : Vec<T>{};
        } else {
          store<T>(column + v * lanes, l);
        }
        for (int c = j + 1; c < end; ++c) {
          T* to = columns + c * tile_rows + v * lanes;
          store<T>(to, fnma<T>(l, splat(upper[c * tile_rows]), load(to)));
        }
      }
    }
    return true;
  }

  /** Rows [begin, end) of U, and the rest of the tile they are in. */
  void finish_rows(int begin, int end) const {
    alignas(64) T lower[kNarrow * tile_rows];
    lower_triangle(begin, begin, end, lower);
    T* columns = tile(begin / tile_rows);
    for (int c = end, all = p_.columns; c < all; ++c) {
      T* to = columns + c * tile_rows;
      for (int k = begin; k < end; ++k) {
        const T* l = lower + (k - begin) * tile_rows;
        Vec<T> factor = splat(to[k % tile_rows]);
        store<T>(to, fnma<T>(factor, load(l), load(to)));
        store<T>(to + lanes, fnma<T>(factor, load(l + lanes), load(to + lanes)));
      }
    }
  }

  /** Divides column j by the root of its pivot and takes it from those up to `end`. */
  void eliminate_positive(int j, int end, T root) const {
    Vec<T> factor = splat(1 / root);
    T multipliers[kNarrow] = {};
    int top = j / tile_rows;
    T* columns = tile(top);
    for (int i = top; i < tiles_; ++i, columns += step_) {
      T* column = columns + j * tile_rows;
      Vec<T> low = load(column) * factor, high = load(column + lanes) * factor;
      store<T>(column, low);
      store<T>(column + lanes, high);
      if (i == top) {
        at(j, j) = root;
        for (int c = j + 1; c < end; ++c) multipliers[c - j] = column[c % tile_rows];
      }
      for (int c = j + 1; c < end; ++c) {
        T* to = columns + c * tile_rows;
        Vec<T> multiplier = splat(multipliers[c - j]);
        store<T>(to, fnma<T>(multiplier, low, load(to)));
        store<T>(to + lanes, fnma<T>(multiplier, high, load(to + lanes)));
      }
    }
  }

  /** What columns [begin, end) leave of those after them in a tile; `rows` is what they are
   *  multiplied with, that for column c at c * stride. */
  void update(int i, int begin, int end, const T* rows, int stride) const {
    const T* left = tile(i) + begin * tile_rows;
    for_groups(end, p_.columns, [&](int c, auto columns) {
      subtract_product<T, decltype(columns)::value>(end - begin, left, rows + c * stride, stride,
                                                    tile(i) + c * tile_rows, tile_rows);
    });
  }

  const LuPanel<T>& p_;
  int64_t step_;
  int tiles_;
};

/** A few columns on the right of a panel. Their rows of U are copied to where they stay in the
 * first cache. */
template <typename T>
class Right {
 public:
  static constexpr int tile_rows = kTile<T>, lanes = kLanes<T>;
  static constexpr int most_columns = 16;

  Right(const LuPanel<T>& p, T* a, int64_t stride, int columns)
      : p_(p), panel_(p), a_(a), stride_(stride), columns_(columns) {}

  void run() {
    exchange();
    solve();
    for (int i = (p_.columns + tile_rows - 1) / tile_rows; i < panel_.tiles(); ++i) update(i);
  }

  /** Of a positive matrix, whose columns have their diagonal from `row` on. */
  void run_positive(int row) {
    for (int c = 0; c < columns_; ++c) {
      panel_.copy_row(row + c, 0, p_.columns, upper_ + c * lu_panel);
    }
    for (int i = row / tile_rows; i < panel_.tiles(); ++i) update(i);
  }

 private:
  void exchange() {
    for (int c = 0; c < columns_; ++c) {
      T* column = a_ + c * stride_;
      for (int j = 0; j < p_.columns; ++j) simd::exchange(column[j], column[p_.pivots[j] - 1]);
      T* to = upper_ + c * lu_panel;
      for (int j = 0; j < p_.columns; ++j) to[j] = column[j];
      for (int j = p_.columns; j < lu_panel; ++j) to[j] = 0;
    }
  }

  void solve() {
    for (int row = 0; row < p_.columns; row += tile_rows) {
      int end = smaller(row + tile_rows, p_.columns);
      solve_tile(row, end);
      for (int i = row / tile_rows + 1; i * tile_rows < p_.columns; ++i) {
        for_groups(0, columns_, [&](int c, auto columns) {
          T* column = upper_ + c * lu_panel;
          subtract_product<T, decltype(columns)::value>(tile_rows, panel_.tile(i) + row * tile_rows,
                                                        column + row, lu_panel,
                                                        column + i * tile_rows, lu_panel);
        });
      }
    }
    for (int c = 0; c < columns_; ++c) {
      const T* from = upper_ + c * lu_panel;
      for (int j = 0; j < p_.columns; ++j) a_[c * stride_ + j] = from[j];
    }
  }

  void solve_tile(int row, int end) {
    alignas(64) T lower[tile_rows * tile_rows];
    panel_.lower_triangle(row, row, end, lower);
    for_groups(0, columns_, [&](int first, auto columns) {
      constexpr int count = decltype(columns)::value;
      for (int k = 0; k < end - row; ++k) {
        const T* l = lower + k * tile_rows;
        Vec<T> low = load(l), high = load(l + lanes);
#pragma GCC unroll 8
        for (int c = 0; c < count; ++c) {
          T* to = upper_ + (first + c) * lu_panel + row;
          Vec<T> factor = splat(to[k]);
          store<T>(to, fnma<T>(factor, low, load(to)));
          store<T>(to + lanes, fnma<T>(factor, high, load(to + lanes)));
        }
      }
    });
  }

  void update(int i) {
    int rows = panel_.rows_of(i);
    T* c = a_ + int64_t{i} * tile_rows;
    if (rows == tile_rows) return update(i, c, stride_);
    alignas(64) T padded[most_columns * tile_rows] = {};
    for (int j = 0; j < columns_; ++j) {
      for (int r = 0; r < rows; ++r) padded[j * tile_rows + r] = c[j * stride_ + r];
    }
    update(i, padded, tile_rows);
    for (int j = 0; j < columns_; ++j) {
      for (int r = 0; r < rows; ++r) c[j * stride_ + r] = padded[j * tile_rows + r];
    }
  }

  void update(int i, T* c, int64_t stride) {
    for_groups(0, columns_, [&](int j, auto columns) {
      subtract_product<T, decltype(columns)::value>(
          p_.columns, panel_.tile(i), upper_ + j * lu_panel, lu_panel, c + j * stride, stride);
    });
  }

  const LuPanel<T>& p_;
  const Panel<T> panel_;
  T* a_;
  int64_t stride_;
  int columns_;
  alignas(64) T upper_[most_columns * lu_panel];
};

}  // namespace mlx::core::cpu::MLX_ISA::simd
