// The matrix product engine against plain loops in double: every dtype, layout and way of writing
// the result, at sizes around the edges of its blocks.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstring>
#include <random>
#include <vector>

#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/core/parallel.h"

using namespace mlx::core;
using cpu::Gemm;

namespace {

enum class Layout { rows, columns, strided };

template <typename T>
struct Matrix {
  int64_t row_stride, col_stride;
  std::vector<T> values;

  T at(int64_t i, int64_t j) const { return values[i * row_stride + j * col_stride]; }
};

std::mt19937& generator() {
  static std::mt19937 instance(7);
  return instance;
}

/** Small integers for integer types, values in [-1, 1] for the others. */
template <typename T>
T random_value() {
  int r = static_cast<int>(generator()() % 201) - 100;
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(r);
  } else if constexpr (ComplexNumber<T>) {
    return T(static_cast<float>(r) / 100, static_cast<float>(generator()() % 100) / 100);
  } else {
    return static_cast<T>(static_cast<float>(r) / 100);
  }
}

template <typename T>
Matrix<T> random_matrix(int64_t rows, int64_t cols, Layout layout) {
  Matrix<T> m;
  m.row_stride = layout == Layout::rows ? cols : layout == Layout::columns ? 1 : 2 * cols + 3;
  m.col_stride = layout == Layout::rows ? 1 : layout == Layout::columns ? rows : 2;
  int64_t last_row = std::max<int64_t>(rows - 1, 0), last_col = std::max<int64_t>(cols - 1, 0);
  m.values.resize(last_row * m.row_stride + last_col * m.col_stride + 1);
  for (T& value : m.values) {
    value = random_value<T>();
  }
  return m;
}

/** The type in which the reference is computed. */
template <typename T>
using Wide = std::conditional_t<ComplexNumber<T>, std::complex<long double>,
                                std::conditional_t<std::is_integral_v<T>, int64_t, long double>>;

template <typename T>
Wide<T> widen(T x) {
  if constexpr (ComplexNumber<T>) {
    return {x.real(), x.imag()};
  } else {
    return static_cast<Wide<T>>(x);
  }
}

template <typename T>
void expect_close(T actual, Wide<T> expected, double magnitude, double eps) {
  if constexpr (std::is_integral_v<T>) {
    EXPECT_EQ(actual, static_cast<T>(expected));
  } else {
    EXPECT_LE(std::abs(widen(actual) - expected), eps * (magnitude + 1));
  }
}

enum class Addend { none, matrix, row };

struct Sizes {
  int64_t m, n, k;
};

template <typename T>
void check_product(Sizes size, Layout layout_a, Layout layout_b, Addend addend, double eps) {
  auto a = random_matrix<T>(size.m, size.k, layout_a);
  auto b = random_matrix<T>(size.k, size.n, layout_b);
  auto c = random_matrix<T>(size.m, size.n, Layout::rows);
  T guard = static_cast<T>(7.0f);
  std::vector<T> out(size.m * size.n + 16, guard);
  Gemm g;
  g.dtype = stored_dtype<T>;
  g.m = size.m, g.n = size.n, g.k = size.k;
  g.a = {a.values.data(), a.row_stride, a.col_stride, nullptr};
  g.b = {b.values.data(), b.col_stride, b.row_stride, nullptr};
  g.out = out.data();
  g.out_row_stride = size.n;
  if (addend != Addend::none) {
    g.c = c.values.data();
    g.c_row_stride = addend == Addend::row ? 0 : c.row_stride;
    g.c_col_stride = 1;
    g.alpha = addend == Addend::row ? 2 : 1;
    g.beta = addend == Addend::row ? 3 : 1;
  }
  cpu::gemm(g);
  for (int64_t i = 0; i < size.m; i++) {
    for (int64_t j = 0; j < size.n; j++) {
      Wide<T> sum = 0;
      double magnitude = 0;
      for (int64_t k = 0; k < size.k; k++) {
        Wide<T> term = widen(a.at(i, k)) * widen(b.at(k, j));
        sum += term;
        magnitude += std::abs(static_cast<double>(std::abs(term)));
      }
      sum *= static_cast<Wide<T>>(g.alpha);
      if (g.c) {
        sum += static_cast<Wide<T>>(g.beta) * widen(c.at(addend == Addend::row ? 0 : i, j));
      }
      expect_close(out[i * size.n + j], sum, magnitude, eps);
    }
  }
  for (size_t i = size.m * size.n; i < out.size(); i++) {
    EXPECT_TRUE(out[i] == guard);
  }
}

template <typename T>
void check_layouts(const std::vector<Sizes>& sizes, double eps) {
  for (Sizes size : sizes) {
    SCOPED_TRACE(testing::Message() << size.m << " x " << size.n << " x " << size.k);
    for (Layout a : {Layout::rows, Layout::columns, Layout::strided}) {
      for (Layout b : {Layout::rows, Layout::columns, Layout::strided}) {
        for (Addend addend : {Addend::none, Addend::matrix, Addend::row}) {
          check_product<T>(size, a, b, addend, eps);
        }
      }
    }
  }
}

const std::vector<Sizes> kSmall = {{1, 1, 1},    {3, 5, 7},    {14, 32, 16},  {15, 33, 17},
                                   {28, 64, 70}, {1, 40, 300}, {40, 1, 300},  {7, 100, 65},
                                   {60, 6, 33},  {8, 8, 100},  {29, 67, 130}, {2, 3, 0}};

/** Some that cross blocks along the depth and slabs that do not fit at once. */
const std::vector<Sizes> kDeep = {{13, 17, 1537}, {9, 9, 20000}, {1, 30, 9000}};

template <typename T>
std::vector<T> product_of(const Matrix<T>& a, const Matrix<T>& b, Sizes size) {
  std::vector<T> out(size.m * size.n);
  Gemm g;
  g.dtype = stored_dtype<T>;
  g.m = size.m, g.n = size.n, g.k = size.k;
  g.a = {a.values.data(), a.row_stride, a.col_stride, nullptr};
  g.b = {b.values.data(), b.col_stride, b.row_stride, nullptr};
  g.out = out.data();
  g.out_row_stride = size.n;
  cpu::gemm(g);
  return out;
}

/** Panels of one operand are packed by several threads, whole ones and parts of their depth. */
template <typename T>
void check_numbers_of_threads(Sizes size) {
  int before = num_threads();
  for (Layout layout_a : {Layout::rows, Layout::columns}) {
    for (Layout layout_b : {Layout::rows, Layout::columns}) {
      auto a = random_matrix<T>(size.m, size.k, layout_a);
      auto b = random_matrix<T>(size.k, size.n, layout_b);
      set_num_threads(1);
      auto expected = product_of(a, b, size);
      for (int threads : {2, 5, 16}) {
        set_num_threads(threads);
        for (int run = 0; run < 5; run++) {
          auto out = product_of(a, b, size);
          EXPECT_EQ(std::memcmp(out.data(), expected.data(), out.size() * sizeof(T)), 0)
              << threads << " threads, " << size.m << " x " << size.n << " x " << size.k;
        }
      }
    }
  }
  set_num_threads(before);
}

/** Tiles of three and four vectors of columns, whole and not, with A packed and where it lies. */
const std::vector<Sizes> kWideTiles = {{13, 64, 70}, {20, 48, 33}, {7, 112, 40}, {19, 330, 600}};

/** Some tens of rows on one side, and a matrix that is worth reading once. */
const std::vector<Sizes> kTensOfRows = {{5, 600, 450}, {33, 530, 515}, {490, 17, 545}};

}  // namespace

TEST(Gemm, Float32) { check_layouts<float>(kSmall, 1e-6); }
TEST(Gemm, Float32Deep) { check_layouts<float>(kDeep, 1e-6); }
TEST(Gemm, Float32WideTiles) { check_layouts<float>(kWideTiles, 1e-6); }
TEST(Gemm, Float64) { check_layouts<double>(kSmall, 1e-15); }
TEST(Gemm, Float64WideTiles) { check_layouts<double>(kWideTiles, 1e-15); }
TEST(Gemm, Float16) { check_layouts<float16_t>(kSmall, 1e-3); }
TEST(Gemm, Bfloat16) { check_layouts<bfloat16_t>(kSmall, 8e-3); }
TEST(Gemm, Bfloat16Deep) { check_layouts<bfloat16_t>(kDeep, 8e-3); }
TEST(Gemm, Bfloat16TensOfRows) { check_layouts<bfloat16_t>(kTensOfRows, 8e-3); }
TEST(Gemm, Complex64) { check_layouts<complex64_t>(kSmall, 2e-6); }
TEST(Gemm, Complex128) { check_layouts<complex128_t>(kSmall, 2e-15); }
TEST(Gemm, Integers) {
  check_layouts<int8_t>(kSmall, 0);
  check_layouts<uint16_t>(kSmall, 0);
  check_layouts<int32_t>(kSmall, 0);
  check_layouts<uint64_t>(kSmall, 0);
}

TEST(Gemm, SameBitsForAnyNumberOfThreads) {
  for (Sizes size : {Sizes{300, 270, 1100}, Sizes{515, 1000, 260}, Sizes{67, 2100, 131}}) {
    check_numbers_of_threads<float>(size);
    check_numbers_of_threads<bfloat16_t>(size);
    check_numbers_of_threads<complex64_t>(size);
  }
}

TEST(Gemm, BooleansAreOred) {
  auto a = random_matrix<int8_t>(20, 30, Layout::rows),
       b = random_matrix<int8_t>(30, 40, Layout::rows);
  std::vector<char> left, right, out(20 * 40);
  for (int8_t x : a.values) left.push_back(x > 80);
  for (int8_t x : b.values) right.push_back(x > 80);
  Gemm g;
  g.dtype = bool_;
  g.m = 20, g.n = 40, g.k = 30;
  g.a = {left.data(), 30, 1, nullptr};
  g.b = {right.data(), 1, 40, nullptr};
  g.out = out.data();
  g.out_row_stride = 40;
  cpu::gemm(g);
  for (int i = 0; i < 20; i++) {
    for (int j = 0; j < 40; j++) {
      bool expected = false;
      for (int k = 0; k < 30; k++) expected |= left[i * 30 + k] && right[k * 40 + j];
      EXPECT_EQ(out[i * 40 + j], expected);
    }
  }
}

TEST(Gemm, BatchesWithSharedOperands) {
  constexpr int64_t kOuter = 3, kInner = 5, kM = 6, kN = 10, kK = 9;
  auto a = random_matrix<float>(kOuter * kM, kK, Layout::rows);
  auto b = random_matrix<float>(kInner * kK, kN, Layout::rows);
  std::vector<float> out(kOuter * kInner * kM * kN);
  Gemm g;
  g.m = kM, g.n = kN, g.k = kK;
  g.a = {a.values.data(), kK, 1, nullptr};
  g.b = {b.values.data(), 1, kN, nullptr};
  g.out = out.data();
  g.out_row_stride = kN;
  std::vector<BatchAxis> batch = {{kOuter, kM * kK, 0, kInner * kM * kN, 0},
                                  {kInner, 0, kK * kN, kM * kN, 0}};
  cpu::gemm(g, batch);
  for (int64_t o = 0; o < kOuter; o++) {
    for (int64_t p = 0; p < kInner; p++) {
      for (int64_t i = 0; i < kM; i++) {
        for (int64_t j = 0; j < kN; j++) {
          double sum = 0;
          for (int64_t k = 0; k < kK; k++) sum += a.at(o * kM + i, k) * b.at(p * kK + k, j);
          EXPECT_NEAR(out[((o * kInner + p) * kM + i) * kN + j], sum, 1e-5);
        }
      }
    }
  }
}

TEST(Gemm, LargeProductsAgreeWithTheSumOfTheirParts) {
  // Several slabs and tasks: compare with the product cut along the depth.
  constexpr int64_t kM = 300, kN = 500, kK = 1200;
  auto a = random_matrix<float>(kM, kK, Layout::rows),
       b = random_matrix<float>(kK, kN, Layout::rows);
  std::vector<float> whole(kM * kN), parts(kM * kN);
  Gemm g;
  g.m = kM, g.n = kN, g.k = kK;
  g.a = {a.values.data(), kK, 1, nullptr};
  g.b = {b.values.data(), 1, kN, nullptr};
  g.out = whole.data();
  g.out_row_stride = kN;
  cpu::gemm(g);
  g.out = parts.data();
  g.k = 100;
  for (int64_t k = 0; k < kK; k += 100) {
    g.a.data = a.values.data() + k;
    g.b.data = b.values.data() + k * kN;
    g.c = k ? parts.data() : nullptr;
    g.c_row_stride = kN, g.c_col_stride = 1;
    cpu::gemm(g);
  }
  for (size_t i = 0; i < whole.size(); i++) {
    ASSERT_NEAR(whole[i], parts[i], 1e-3);
  }
}
