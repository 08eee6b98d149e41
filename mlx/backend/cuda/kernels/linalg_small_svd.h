// Singular values of matrices that fit into the shared memory of a block, by one-sided rotations
// (Hestenes and Jacobi): columns are turned against each other in pairs until all are orthogonal;
// what they have turned into is U S, and the turns themselves are V. Pairs that have no column in
// common go to different warps.
#pragma once

#include "mlx/backend/cuda/kernels/linalg_small.h"

namespace mlx::core::kernels {

inline constexpr int most_svd_sweeps = 40;

template <typename Real>
inline constexpr Real rounding_unit = sizeof(Real) == 4 ? Real(1.2e-7) : Real(2.3e-16);

/** Columns of elements of at most one whose squares add up to less count as zero. */
template <typename Real>
inline constexpr Real zero_square = sizeof(Real) == 4 ? Real(1e-34) : Real(1e-290);

template <typename T>
MLX_FN RealOf<T> square_length(const T* x, int rows) {
  RealOf<T> sum = 0;
  for (int i = static_cast<int>(threadIdx.x) % matrix_lanes; i < rows; i += matrix_lanes) {
    sum += square_size(x[i], RealOf<T>(1));
  }
  return sum_of_lanes(sum);
}

/** x^H y */
template <typename T>
MLX_FN T inner_product(const T* x, const T* y, int rows) {
  T sum{};
  for (int i = static_cast<int>(threadIdx.x) % matrix_lanes; i < rows; i += matrix_lanes) {
    sum = total(sum, product(conjugate(x[i]), y[i]));
  }
  return sum_of_lanes(sum);
}

/** Turns x and y into c x - s p y and s x + c p y. */
template <typename T>
struct Turn {
  RealOf<T> cosine, sine;
  T phase;

  MLX_FN void apply(T* x, T* y, int rows) const {
    T c = number<T>(cosine), s = number<T>(sine);
    for (int i = static_cast<int>(threadIdx.x) % matrix_lanes; i < rows; i += matrix_lanes) {
      T a = x[i], b = product(y[i], phase);
      x[i] = less_product(product(c, a), s, b);
      y[i] = total(product(s, a), product(c, b));
    }
  }
};

/** The turn that makes columns orthogonal whose square lengths are `a` and `b` and whose inner
 *  product is g. */
template <typename T>
MLX_FN Turn<T> orthogonal_turn(RealOf<T> a, RealOf<T> b, T g, RealOf<T> size) {
  using Real = RealOf<T>;
  Real zeta = (b - a) / (2 * size), far = fabs(zeta);
  Real root = far < Real(1e6) ? sqrt(1 + far * far) : far;
  Real tangent = (zeta < 0 ? Real(-1) : Real(1)) / (far + root);
  Real cosine = 1 / sqrt(1 + tangent * tangent);
  return {cosine, cosine * tangent, scaled_down(conjugate(g), size)};
}

/** Makes two columns of U S orthogonal, in one warp; whether they were not. */
template <typename T>
MLX_FN bool make_orthogonal(T* work, T* turns, int rows, int columns, int i, int j) {
  using Real = RealOf<T>;
  T *x = work + i * rows, *y = work + j * rows;
  Real a = square_length(x, rows), b = square_length(y, rows);
  if (a < zero_square<Real> || b < zero_square<Real>) return false;
  T g = inner_product(x, y, rows);
  Real size = hypot(real_part(g), imaginary_part(g));  // its square may be out of range
  Real allowed = rounding_unit<Real> * sqrt(static_cast<Real>(rows > 4 ? rows : 4));
  if (!(size > allowed * sqrt(a) * sqrt(b))) return false;
  Turn<T> turn = orthogonal_turn(a, b, g, size);
  turn.apply(x, y, rows);
  if (turns != nullptr) turn.apply(turns + i * columns, turns + j * columns, columns);
  return true;
}

/** Turns all pairs until no pair needs it; whether that came to an end. */
template <typename T>
MLX_FN bool turn_all(T* work, T* turns, int rows, int columns) {
  __shared__ int turned;
  int warp = static_cast<int>(threadIdx.x) / matrix_lanes;
  int warps = static_cast<int>(blockDim.x) / matrix_lanes;
  int players = columns + columns % 2;  // as in a tournament: everyone meets everyone once
  for (int sweep = 0; sweep < most_svd_sweeps; sweep++) {
    __syncthreads();
    if (threadIdx.x == 0) turned = 0;
    __syncthreads();
    for (int round = 0; round < players - 1; round++) {
      for (int pair = warp; pair < players / 2; pair += warps) {
        int i = pair == 0 ? players - 1 : (round + players - 1 - pair) % (players - 1);
        int j = (round + pair) % (players - 1);
        bool both = i < columns && j < columns;
        if (both && make_orthogonal(work, turns, rows, columns, i, j)) turned = 1;
      }
      __syncthreads();
    }
    if (turned == 0) return true;
  }
  return false;
}

/** Column `done` of orthonormal columns, of which the ones before are there. */
template <typename T>
MLX_FN void add_orthonormal_column(T* columns, int rows, int done) {
  using Real = RealOf<T>;
  __shared__ Real sizes[largest_small_svd];
  __shared__ T along[largest_small_svd];
  int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  T* column = columns + done * rows;
  for (int i = thread; i < rows; i += threads) {
    Real sum = 0;
    for (int k = 0; k < done; k++) sum += square_size(columns[k * rows + i], Real(1));
    sizes[i] = sum;
  }
  __syncthreads();
  int least = 0;  // the axis that lies least in what is there
  for (int i = 1; i < rows; i++) {
    if (sizes[i] < sizes[least]) least = i;
  }
  for (int i = thread; i < rows; i += threads) column[i] = number<T>(i == least);
  for (int turn = 0; turn < 2; turn++) {  // twice is enough
    __syncthreads();
    for (int k = thread / matrix_lanes; k < done; k += threads / matrix_lanes) {
      T inner = inner_product(columns + k * rows, column, rows);
      if (thread % matrix_lanes == 0) along[k] = inner;
    }
    __syncthreads();
    for (int i = thread; i < rows; i += threads) {
      T x = column[i];
      for (int k = 0; k < done; k++) x = less_product(x, columns[k * rows + i], along[k]);
      column[i] = x;
    }
  }
  __syncthreads();
  Real length = sqrt(square_length(column, rows));
  __syncthreads();
  for (int i = thread; i < rows; i += threads) column[i] = scaled_down(column[i], length);
  __syncthreads();
}

/** A power of two that brings the largest element near one, for all threads. */
template <typename T>
MLX_FN RealOf<T> unit_of(const T* from, int size) {
  using Real = RealOf<T>;
  __shared__ Real of_warps[matrix_warps];
  Real largest = 0;
  for (int i = threadIdx.x; i < size; i += static_cast<int>(blockDim.x)) {
    largest = fmax(largest, pivot_size(from[i]));
  }
  for (int step = 1; step < matrix_lanes; step *= 2) {
    largest = fmax(largest, __shfl_xor_sync(~0u, largest, step));
  }
  if (threadIdx.x % matrix_lanes == 0) of_warps[threadIdx.x / matrix_lanes] = largest;
  __syncthreads();
  for (int w = 0; w < static_cast<int>(blockDim.x) / matrix_lanes; w++) {
    largest = fmax(largest, of_warps[w]);
  }
  constexpr Real least = sizeof(Real) == 4 ? Real(1e-36) : Real(1e-300);
  return largest > least ? power_of_two_below(largest) : Real(1);
}

/** A matrix of `rows` by `columns`, rows >= columns: A, or A^H where A is wide. */
template <typename T>
MLX_FN void load_tall(const SmallSVD& p, const T* from, RealOf<T> unit, T* work, int rows,
                      int columns) {
  bool wide = p.rows < p.columns;
  for (int i = threadIdx.x; i < rows * columns; i += static_cast<int>(blockDim.x)) {
    int r = i % rows, c = i / rows;
    T x = wide ? conjugate(from[r * columns + c]) : from[i];
    work[i] = scaled_down(x, unit);
  }
}

template <typename T>
MLX_FN void conjugate_all(T* x, int size) {
  for (int i = threadIdx.x; i < size; i += static_cast<int>(blockDim.x)) x[i] = conjugate(x[i]);
}

/** x^H y for columns of `turns`; neighbouring i start at different k, in different banks. */
template <typename T>
MLX_FN T product_of_turns(const T* turns, int columns, int i, int j) {
  T sum{};
  for (int step = 0; step < columns; step++) {
    int k = i + step < columns ? i + step : i + step - columns;
    sum = total(sum, product(conjugate(turns[i * columns + k]), turns[j * columns + k]));
  }
  return sum;
}

/** Writes V in order, conjugated if asked for, after a step towards V^H V = 1 (Newton and Schulz):
 *  many turns have been rounded one after the other. `gram` is room for as many elements. */
template <typename T>
MLX_FN void write_turns(const T* turns, const int* order, int columns, bool conjugated, T* gram,
                        T* out) {
  using Real = RealOf<T>;
  int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  for (int i = thread; i < columns * columns; i += threads) {
    gram[i] = product_of_turns(turns, columns, i % columns, i / columns);
  }
  __syncthreads();
  for (int i = thread; i < columns * columns; i += threads) {
    int r = i % columns, j = order[i / columns];
    T x = scaled_down(turns[j * columns + r], Real(2) / Real(3)), along{};
    for (int k = 0; k < columns; k++) {
      along = total(along, product(turns[k * columns + r], gram[j * columns + k]));
    }
    x = less_product(x, along, number<T>(Real(0.5)));
    out[i] = conjugated ? conjugate(x) : x;
  }
}

/** Columns in the order of their lengths, largest first. */
template <typename Real>
struct OrderedLengths {
  Real* squares;
  int* order;

  template <typename T>
  MLX_FN void find(const T* work, int rows, int columns) {
    int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
    for (int j = thread / matrix_lanes; j < columns; j += threads / matrix_lanes) {
      Real square = square_length(work + j * rows, rows);
      if (thread % matrix_lanes == 0) squares[j] = square;
    }
    __syncthreads();
    for (int j = thread; j < columns; j += threads) {
      int rank = 0;
      for (int k = 0; k < columns; k++) {
        rank += squares[k] > squares[j] || (squares[k] == squares[j] && k < j);
      }
      order[rank] = j;
    }
    __syncthreads();
  }
};

template <typename T>
MLX_FN void factor_small_svd(const SmallSVD& p) {
  using Real = RealOf<T>;
  extern __shared__ uint4 shared[];
  __shared__ Real squares[largest_small_svd];
  __shared__ int order[largest_small_svd];
  int m = static_cast<int>(p.rows), n = static_cast<int>(p.columns);
  int rows = m < n ? n : m, columns = m < n ? m : n, kept = static_cast<int>(p.long_columns);
  int64_t matrix = blockIdx.x;
  int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const T* from = static_cast<const T*>(p.from) + matrix * m * n;
  bool vectors = p.longs != nullptr;
  T* work = reinterpret_cast<T*>(shared);
  T* turns = vectors ? work + rows * columns : nullptr;
  Real unit = unit_of(from, m * n);
  load_tall(p, from, unit, work, rows, columns);
  for (int i = thread; vectors && i < columns * columns; i += threads) {
    turns[i] = number<T>(i / columns == i % columns);
  }
  bool ended = turn_all(work, turns, rows, columns);
  if (thread == 0) p.infos[matrix] = ended ? 0 : 1;
  OrderedLengths<Real> lengths{squares, order};
  lengths.find(work, rows, columns);
  Real* values = static_cast<Real*>(p.values) + matrix * columns;
  for (int r = thread; r < columns; r += threads) values[r] = unit * sqrt(squares[order[r]]);
  if (!vectors) return;
  T* longs = static_cast<T*>(p.longs) + matrix * rows * kept;
  T* shorts = static_cast<T*>(p.shorts) + matrix * columns * columns;
  int there = 0;
  for (int r = 0; r < columns; r++) there += squares[r] >= zero_square<Real>;
  for (int i = thread; i < rows * there; i += threads) {
    int j = order[i / rows];
    longs[i] = scaled_down(work[j * rows + i % rows], sqrt(squares[j]));
  }
  __syncthreads();
  write_turns(turns, order, columns, m >= n, work, shorts);
  __syncthreads();
  for (int r = there; r < kept; r++) add_orthonormal_column(longs, rows, r);
  if (m < n) conjugate_all(longs, rows * kept);
}

}  // namespace mlx::core::kernels
