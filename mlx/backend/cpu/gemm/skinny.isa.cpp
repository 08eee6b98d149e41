// The streaming kernels of skinny.h.
#include "mlx/backend/cpu/gemm/skinny.h"

#include "mlx/backend/cpu/gemm/element.h"
#include "mlx/backend/cpu/gemm/fold.h"
#include "mlx/backend/cpu/gemm/pack.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

constexpr int kMaxRows = 4;            // rows of x taken in one pass over w
constexpr int kDepthStep = 4;          // lines of w taken in one pass over the sums
constexpr int kLineBlockBytes = 8192;  // part of a line whose sums stay in the L1 cache
constexpr int64_t kDepthBlock = 64;

template <int Half, typename T, int... J>
static inline Vec<T> upper_half(Vec<T> v, std::integer_sequence<int, J...>) {
  constexpr Vec<typename IndexOf<sizeof(T)>::type> index = {(J ^ Half)...};
  return __builtin_shuffle(v, index);
}

template <int Half, typename T, int... J>
static inline Vec<T> fold_two(Vec<T> a, Vec<T> b, std::integer_sequence<int, J...>) {
  constexpr int lanes = kLanes<T>;
  constexpr Vec<typename IndexOf<sizeof(T)>::type> own = {(J & Half ? lanes + J : J)...};
  constexpr Vec<typename IndexOf<sizeof(T)>::type> other = {
      (J & Half ? lanes + (J ^ Half) : J ^ Half)...};
  return __builtin_shuffle(a, b, own) + __builtin_shuffle(a, b, other);
}

// The sums over the lanes of N vectors, as many as lanes at most and a power of two, added up in
// the same order for any N. Two vectors go on as one while there are two: that of v[i] is in
// lane_of(i).
template <typename T, int N, int Half = kLanes<T> / 2>
static inline Vec<T> totals(const Vec<T>* v) {
  constexpr std::make_integer_sequence<int, kLanes<T>> lanes;
  if constexpr (Half == 0) {
    return v[0];
  } else if constexpr (N == 1) {
    Vec<T> folded = v[0] + upper_half<Half, T>(v[0], lanes);
    return totals<T, 1, Half / 2>(&folded);
  } else {
    Vec<T> folded[N / 2];
#pragma GCC unroll 4
    for (int i = 0; i < N / 2; ++i) folded[i] = fold_two<Half, T>(v[2 * i], v[2 * i + 1], lanes);
    return totals<T, N / 2, Half / 2>(folded);
  }
}

template <typename T>
static constexpr int lane_of(int i) {
  int lane = 0;
  for (int half = kLanes<T> / 2; i > 0; half /= 2, i /= 2) lane += i % 2 * half;
  return lane;
}

template <typename E, typename Source, int Rows, int Cols>
static inline void dot_block(const SkinnyProduct& p, int64_t first_row, int64_t j) {
  using Lane = typename E::Lane;
  constexpr int lanes = kLanes<Lane>;
  auto x = static_cast<const Lane*>(p.x) + first_row * p.x_stride;
  auto w = static_cast<const Source*>(p.w) + j * p.w_stride;
  // The next columns, unless another thread has them.
  const Source* next = j + 2 * Cols <= p.count ? w + Cols * p.w_stride : w;
  Vec<Lane> sums[Rows][Cols] = {};
  int64_t k = 0;
  for (; k + lanes <= p.depth; k += lanes) {
    Vec<Lane> xs[Rows];
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) xs[r] = load(x + r * p.x_stride + k);
#pragma GCC unroll 8
    for (int c = 0; c < Cols; ++c) {
      Vec<Lane> ws = E::load(w + c * p.w_stride + k);
      fetch_ahead(next + c * p.w_stride + k);
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) sums[r][c] = fma<Lane>(xs[r], ws, sums[r][c]);
    }
  }
  if (int n = static_cast<int>(p.depth - k)) {
    for (int c = 0; c < Cols; ++c) {
      Vec<Lane> ws = load_some<E>(w + c * p.w_stride + k, n);
      for (int r = 0; r < Rows; ++r) {
        Vec<Lane> xs = load_some<Element<Lane>>(x + r * p.x_stride + k, n);
        sums[r][c] = fma<Lane>(xs, ws, sums[r][c]);
      }
    }
  }
  for (int r = 0; r < Rows; ++r) {
    Lane* to = static_cast<Lane*>(p.sums) + (first_row + r) * p.sums_stride + j;
    constexpr int group = Cols < lanes ? Cols : lanes;
#pragma GCC unroll 4
    for (int c = 0; c < Cols; c += group) {
      Vec<Lane> all = totals<Lane, group>(sums[r] + c);
#pragma GCC unroll 8
      for (int i = 0; i < group; ++i) to[c + i] = all[lane_of<Lane>(i)];
    }
  }
}

template <typename E, typename Source, int Cols>
static inline void dot_rows(const SkinnyProduct& p, int64_t j) {
  int r = 0;
  for (; r + 4 <= p.rows; r += 4) dot_block<E, Source, 4, Cols>(p, r, j);
  if (p.rows - r == 3) return dot_block<E, Source, 3, Cols>(p, r, j);
  if (p.rows - r == 2) return dot_block<E, Source, 2, Cols>(p, r, j);
  if (p.rows - r == 1) return dot_block<E, Source, 1, Cols>(p, r, j);
}

template <typename E, typename Source>
static void dots(const SkinnyProduct& p) {
  constexpr int cols = kRegisterRows > 8 ? 4 : 2;
  int64_t j = 0;
  if (p.rows == 1) {
    for (; j + 2 * cols <= p.count; j += 2 * cols) dot_block<E, Source, 1, 2 * cols>(p, 0, j);
  }
  for (; j + cols <= p.count; j += cols) dot_rows<E, Source, cols>(p, j);
  for (; j < p.count; ++j) dot_rows<E, Source, 1>(p, j);
}

// Adds `Steps` lines of w from k on into the sums of `Rows` rows, columns [j, end).
template <typename E, typename Source, int Rows, int Steps>
static inline void add_lines(const SkinnyProduct& p, int row, int64_t k, int64_t j, int64_t end) {
  using Lane = typename E::Lane;
  constexpr int lanes = kLanes<Lane>;
  auto w = static_cast<const Source*>(p.w) + k * p.w_stride;
  Vec<Lane> xs[Rows][Steps];
  Lane* sums[Rows];
  for (int r = 0; r < Rows; ++r) {
    auto x = static_cast<const Lane*>(p.x) + (row + r) * p.x_stride + k;
    sums[r] = static_cast<Lane*>(p.sums) + (row + r) * p.sums_stride;
    for (int i = 0; i < Steps; ++i) xs[r][i] = splat(x[i]);
  }
  for (; j + lanes <= end; j += lanes) {
    Vec<Lane> ws[Steps];
#pragma GCC unroll 4
    for (int i = 0; i < Steps; ++i) {
      ws[i] = E::load(w + i * p.w_stride + j);
      fetch_ahead(w + (2 * Steps + i) * p.w_stride + j);
    }
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      Vec<Lane> sum = load(sums[r] + j);
#pragma GCC unroll 4
      for (int i = 0; i < Steps; ++i) sum = fma<Lane>(xs[r][i], ws[i], sum);
      store<Lane>(sums[r] + j, sum);
    }
  }
  for (; j < end; ++j) {
    for (int r = 0; r < Rows; ++r) {
      for (int i = 0; i < Steps; ++i) sums[r][j] += xs[r][i][0] * E::get(w + i * p.w_stride + j);
    }
  }
}

template <typename E, typename Source, int Rows>
static inline void line_block(const SkinnyProduct& p, int row, int64_t k, int64_t depth_end,
                              int64_t j, int64_t end) {
  for (; k + kDepthStep <= depth_end; k += kDepthStep) {
    add_lines<E, Source, Rows, kDepthStep>(p, row, k, j, end);
  }
  for (; k < depth_end; ++k) add_lines<E, Source, Rows, 1>(p, row, k, j, end);
}

template <typename E, typename Source>
static void line_rows(const SkinnyProduct& p, int64_t k, int64_t depth_end, int64_t j,
                      int64_t end) {
  int r = 0;
  for (; r + kMaxRows <= p.rows; r += kMaxRows) {
    line_block<E, Source, kMaxRows>(p, r, k, depth_end, j, end);
  }
  if (p.rows - r == 3) line_block<E, Source, 3>(p, r, k, depth_end, j, end);
  if (p.rows - r == 2) line_block<E, Source, 2>(p, r, k, depth_end, j, end);
  if (p.rows - r == 1) line_block<E, Source, 1>(p, r, k, depth_end, j, end);
}

template <typename E, typename Source>
static void lines(const SkinnyProduct& p) {
  using Lane = typename E::Lane;
  constexpr int64_t block = kLineBlockBytes / sizeof(Lane);
  for (int64_t j = 0; j < p.count; j += block) {
    int64_t end = p.count - j < block ? p.count : j + block;
    for (int r = 0; r < p.rows; ++r) {
      Lane* sums = static_cast<Lane*>(p.sums) + r * p.sums_stride;
      for (int64_t i = j; i < end; ++i) sums[i] = 0;
    }
    int64_t step = p.rows > kMaxRows ? kDepthBlock : p.depth;
    for (int64_t k = 0; k < p.depth; k += step) {
      int64_t depth_end = p.depth - k < step ? p.depth : k + step;
      line_rows<E, Source>(p, k, depth_end, j, end);
    }
  }
}

template <typename Source, typename Lane>
static constexpr SkinnyKernels kernels() {
  return {dots<Element<Source, Lane>, Source>, lines<Element<Source, Lane>, Source>,
          fold_parts<Lane>};
}

}  // namespace simd

const SkinnyTables& skinny_kernels() {
  using namespace simd;
  static constexpr SkinnyTables table = {kernels<float, float>(), kernels<double, double>(),
                                         kernels<F16, float>(), kernels<Bf16, float>()};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
