// Fourier transforms against the sum that defines them, computed in double, for every sort of
// length, and random bits of every width against each other.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstring>
#include <numbers>
#include <random>

#include "mlx/mlx.h"

namespace mlx::core {
namespace {

using Number = std::complex<double>;

std::vector<Number> by_definition(const std::vector<Number>& x, bool inverse) {
  size_t n = x.size();
  std::vector<Number> out(n);
  for (size_t k = 0; k < n; k++) {
    for (size_t j = 0; j < n; j++) {
      double angle = 2 * std::numbers::pi * static_cast<double>(j * k % n) / static_cast<double>(n);
      out[k] += x[j] * std::polar(1.0, inverse ? angle : -angle);
    }
    out[k] /= inverse ? static_cast<double>(n) : 1.0;
  }
  return out;
}

std::vector<Number> random_row(size_t n, bool real) {
  std::mt19937 generator(static_cast<unsigned>(n));
  std::normal_distribution<float> normal;
  std::vector<Number> out(n);
  for (auto& value : out) {
    float re = normal(generator);
    value = Number(re, real ? 0.0f : normal(generator));
  }
  return out;
}

array complex_rows(const std::vector<Number>& row, int rows) {
  std::vector<complex64_t> values;
  for (int r = 0; r < rows; r++) {
    for (const auto& v : row) {
      values.emplace_back(static_cast<float>(v.real()) * (r + 1),
                          static_cast<float>(v.imag()) * (r + 1));
    }
  }
  return array(values.begin(), {rows, static_cast<int>(row.size())}, complex64);
}

/** The root mean square error of `out`, whose rows are `expected` times 1, 2, …, relative. */
double relative_error(array out, const std::vector<Number>& expected) {
  out = contiguous(astype(out, complex64));
  out.eval();
  double error = 0, norm = 0;
  size_t columns = out.shape(1);
  for (size_t i = 0; i < out.size(); i++) {
    auto got = out.data<complex64_t>()[i];
    Number want = expected[i % columns] * static_cast<double>(i / columns + 1);
    error += std::norm(Number(got.real(), got.imag()) - want);
    norm += std::norm(want);
  }
  return norm == 0 ? std::sqrt(error) : std::sqrt(error / norm);
}

class FourierTransform : public testing::TestWithParam<int> {};

TEST_P(FourierTransform, MatchesItsDefinition) {
  int n = GetParam();
  for (int rows : {1, 3, 37}) {
    auto row = random_row(n, false);
    array x = complex_rows(row, rows);
    EXPECT_LT(relative_error(fft::fft(x), by_definition(row, false)), 3e-7) << n << "x" << rows;
    EXPECT_LT(relative_error(fft::ifft(x), by_definition(row, true)), 3e-7);
    array columns = transpose(contiguous(transpose(x)));  // the other layout
    EXPECT_LT(relative_error(fft::fft(columns), by_definition(row, false)), 3e-7);

    auto real_row = random_row(n, true);
    array r = real(complex_rows(real_row, rows));
    auto spectrum = by_definition(real_row, false);
    EXPECT_LT(relative_error(fft::fft(r), spectrum), 3e-7);
    EXPECT_LT(relative_error(fft::fft(astype(r, float64, Device::cpu), -1, fft::FFTNorm::Backward,
                                      Device::cpu),
                             spectrum),
              1e-7);
    std::vector<Number> half(spectrum.begin(), spectrum.begin() + n / 2 + 1);
    EXPECT_LT(relative_error(fft::rfft(r), half), 3e-7);
    EXPECT_LT(relative_error(fft::irfft(complex_rows(half, rows), n, -1), real_row), 3e-7);
  }
}

INSTANTIATE_TEST_SUITE_P(Lengths, FourierTransform,
                         testing::Values(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 21,
                                         24, 25, 27, 30, 31, 32, 49, 60, 61, 64, 67, 77, 100, 101,
                                         122, 127, 128, 134, 202, 240, 243, 256, 360, 461, 512, 625,
                                         720, 1009, 1024));

TEST(FourierTransformScale, DoesNotMixRows) {
  std::vector<float> values(64, 0.0f);
  std::fill(values.begin() + 32, values.end(), 1e30f);
  values[40] = std::numeric_limits<float>::quiet_NaN();
  values[1] = 1e-6f;
  array out = abs(fft::rfft(array(values.begin(), {2, 32}, float32)));
  out.eval();
  for (int k = 0; k < 17; k++) {
    EXPECT_NEAR(out.data<float>()[k], 1e-6f, 1e-12f);
  }
}

TEST(RandomBits, WidthsShareTheirBytes) {
  array key = random::key(7);
  array words = random::bits({6}, 4, key);
  array halves = random::bits({12}, 2, key);
  array bytes = random::bits({23}, 1, key);
  eval({words, halves, bytes});
  EXPECT_EQ(halves.dtype(), uint16);
  EXPECT_EQ(bytes.dtype(), uint8);
  EXPECT_EQ(std::memcmp(words.data<char>(), halves.data<char>(), 24), 0);
  EXPECT_EQ(std::memcmp(words.data<char>(), bytes.data<char>(), 23), 0);
  EXPECT_THROW(random::bits({2}, 3, key), std::invalid_argument);
}

TEST(RandomBits, SequenceOfKeysSplits) {
  random::KeySequence sequence(3);
  auto [rest, first] = random::split(random::key(3));
  EXPECT_TRUE(array_equal(sequence.next(), first).item<bool>());
  EXPECT_TRUE(array_equal(sequence.state(), rest).item<bool>());
  sequence.set_state(random::key(3));
  EXPECT_TRUE(array_equal(sequence.next(), first).item<bool>());
  EXPECT_THROW(sequence.set_state(array({1, 2}, int32)), std::invalid_argument);
}

}  // namespace
}  // namespace mlx::core
