// Products with quantised matrices against dequantised ones in double: every kind of code and
// scale, group, dtype and direction, at numbers of rows around the kernels' edges.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

#include "mlx/backend/cpu/quantized/product.h"
#include "mlx/backend/cpu/runtime/amx.h"

using namespace mlx::core;
using cpu::Code;
using cpu::QuantizedProduct;
using cpu::Scale;

namespace {

std::mt19937& generator() {
  static std::mt19937 instance(11);
  return instance;
}

float normal() {
  static std::normal_distribution<float> instance;
  return instance(generator());
}

int bits_of(Code code) {
  constexpr int bits[] = {1, 2, 3, 4, 5, 6, 8, 4, 8};
  return bits[static_cast<int>(code)];
}

double e4m3(int code) {
  int exponent = code >> 3 & 15, mantissa = code & 7;
  double size = exponent ? std::ldexp(8 + mantissa, exponent - 10) : std::ldexp(mantissa, -9);
  return code & 128 ? -size : size;
}

double value_of(Code kind, int code) {
  if (kind == Code::e4m3) return e4m3(code);
  if (kind != Code::e2m1) return code;
  constexpr double sizes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return code & 8 ? -sizes[code & 7] : sizes[code & 7];
}

/** Numbers in a storage type of scales or of x, and as they were stored. */
struct Stored {
  std::vector<uint8_t> bytes;
  std::vector<double> values;

  void push(Dtype dtype, float value) {
    if (dtype == float32) return append(value, value);
    if (dtype == float16) return append(float16_t(value), static_cast<float>(float16_t(value)));
    append(bfloat16_t(value), static_cast<float>(bfloat16_t(value)));
  }
  template <typename T>
  void append(T stored, double value) {
    bytes.insert(bytes.end(), sizeof(T), 0);
    std::memcpy(bytes.data() + bytes.size() - sizeof(T), &stored, sizeof(T));
    values.push_back(value);
  }
};

struct Kind {
  Code code;
  int group;
  Dtype dtype;
};

Scale scale_of(const Kind& kind) {
  if (kind.code == Code::e2m1 || kind.code == Code::e4m3) {
    return kind.group == 16 ? Scale::e4m3 : Scale::e8m0;
  }
  return kind.dtype == float32 ? Scale::f32 : kind.dtype == float16 ? Scale::f16 : Scale::bf16;
}

/** A random matrix of `rows` rows of `depth` codes; nothing may be read behind its vectors. */
struct Matrix {
  Matrix(const Kind& kind, int64_t rows, int64_t depth) : depth(depth) {
    int bits = bits_of(kind.code);
    codes.resize(rows * depth * bits / 8);
    Scale scale = scale_of(kind);
    bool affine = scale != Scale::e8m0 && scale != Scale::e4m3;
    for (int64_t i = 0; i < rows * depth; ++i) {
      if (i % kind.group == 0) push_group(kind, scale, affine, bits);
      int code = static_cast<int>(generator()() % (1 << bits));
      if (kind.code == Code::e4m3 && (code & 127) == 127) --code;
      for (int b = 0; b < bits; ++b) {
        int64_t at = i * bits + b;
        codes[at / 8] |= static_cast<uint8_t>((code >> b & 1) << at % 8);
      }
      double value = scales.values.back() * value_of(kind.code, code);
      size.push_back(std::abs(value) + (affine ? std::abs(biases.values.back()) : 0));
      values.push_back(value + (affine ? biases.values.back() : 0));
    }
    view = {codes.data(),
            depth * bits / 8,
            scales.bytes.data(),
            affine ? biases.bytes.data() : nullptr,
            depth / kind.group,
            depth,
            scale,
            kind.group};
  }

  void push_group(const Kind& kind, Scale scale, bool affine, int bits) {
    if (affine) {
      scales.push(kind.dtype, (1 + std::abs(normal())) / static_cast<float>(1 << bits));
      biases.push(kind.dtype, normal() - 0.5f);
    } else if (scale == Scale::e8m0) {
      uint8_t code = 120 + generator()() % 8;
      scales.append(code, std::ldexp(1, code - 127));
    } else {
      uint8_t code = generator()() % 60;
      scales.append(code, e4m3(code));
    }
  }

  int64_t depth;
  std::vector<uint8_t> codes;
  Stored scales, biases;
  std::vector<double> values, size;
  cpu::QuantizedRows view;
};

struct Case {
  int64_t m, n, k;
  bool transposed;
};

/** What values of the matrix may be off by, relative to them. */
double value_eps(const Kind& kind, int64_t m, bool rounds) {
  bool floats = kind.code == Code::e2m1 || kind.code == Code::e4m3;
  return rounds && m > 8 && kind.dtype == bfloat16 && !floats && cpu::has_amx_bf16() ? 0x1p-8 : 0;
}

/** What an entry may be off by, relative to the parts of its sum: f32 sums, the rounding of x
 * within its group or that of the matrix, and that of the result. */
void expect_product(const Kind& kind, const Case& c, bool rounds) {
  Matrix w(kind, c.transposed ? c.n : c.k, c.transposed ? c.k : c.n);
  Stored x, out;
  std::vector<int64_t> x_rows, out_rows;
  for (int64_t i = 0; i < c.m; ++i) {
    x_rows.push_back(i * c.k);
    out_rows.push_back((c.m - 1 - i) * c.n);
  }
  for (int64_t i = 0; i < c.m * c.k; ++i) x.push(kind.dtype, normal());
  for (int64_t i = 0; i < c.m * c.n; ++i) out.push(kind.dtype, 0);
  QuantizedProduct p;
  p.dtype = kind.dtype;
  p.x = x.bytes.data();
  p.x_rows = x_rows.data();
  p.out = out.bytes.data();
  p.out_rows = out_rows.data();
  p.m = c.m;
  p.n = c.n;
  p.k = c.k;
  p.w = w.view;
  p.code = kind.code;
  p.transposed = c.transposed;
  p.factor = 0.5;
  bool before = cpu::set_activation_rounding(rounds);
  multiply_quantized(p);
  cpu::set_activation_rounding(before);
  double result_eps = kind.dtype == float32 ? 0x1p-24 : kind.dtype == float16 ? 0x1p-11 : 0x1p-8;
  double sum_eps = 4e-6 + value_eps(kind, c.m, rounds);
  double step = rounds && c.transposed && kind.dtype != float32 ? 0x1p-16 : 0;
  for (int64_t i = 0; i < c.m; ++i) {
    for (int64_t j = 0; j < c.n; ++j) {
      double sum = 0, size = 0, largest = 0;
      for (int64_t k = 0; k < c.k; ++k) {
        int64_t at = c.transposed ? j * c.k + k : k * c.n + j;
        sum += 0.5 * x.values[i * c.k + k] * w.values[at];
        size += 0.5 * std::abs(x.values[i * c.k + k]) * w.size[at];
        largest += 4 * w.size[at];
      }
      const uint8_t* at = out.bytes.data() + (out_rows[i] + j) * size_of(kind.dtype);
      float got;
      if (kind.dtype == float32) std::memcpy(&got, at, 4);
      if (kind.dtype == float16) got = *reinterpret_cast<const float16_t*>(at);
      if (kind.dtype == bfloat16) got = *reinterpret_cast<const bfloat16_t*>(at);
      double bound = sum_eps * size + step * largest + result_eps * std::abs(sum);
      ASSERT_NEAR(got, sum, bound) << "m " << c.m << " n " << c.n << " k " << c.k << " transposed "
                                   << c.transposed << " at " << i << ", " << j;
    }
  }
}

class QuantizedProducts : public testing::TestWithParam<std::tuple<Code, int, Dtype::Val>> {};

TEST_P(QuantizedProducts, match) {
  auto [code, group, dtype] = GetParam();
  Kind kind = {code, group, Dtype(dtype, dtype == Dtype::Val::float32 ? 4 : 2)};
  for (int m : {1, 2, 3, 4, 5, 8, 9, 33}) {
    expect_product(kind, {m, 37, group, true}, true);
    expect_product(kind, {m, 5, 3 * group, true}, true);
    expect_product(kind, {m, 3 * group, 37, false}, true);
  }
  for (bool rounds : {true, false}) {
    expect_product(kind, {1, 130, 9 * group, true}, rounds);
    expect_product(kind, {70, 67, 2048 + group, true}, rounds);
  }
  expect_product(kind, {3, 5 * group, 300, false}, true);
  expect_product(kind, {40, group, 1030, false}, true);
}

TEST(QuantizedActivations, keep_what_is_not_finite_in_its_row) {
  Kind kind = {Code::u4, 32, bfloat16};
  for (int64_t m : {3, 20}) {
    Matrix w(kind, 40, 96);
    Stored x, out;
    std::vector<int64_t> x_rows, out_rows;
    for (int64_t i = 0; i < m; ++i) {
      x_rows.push_back(i * 96);
      out_rows.push_back(i * 40);
    }
    for (int64_t i = 0; i < m * 96; ++i) x.push(bfloat16, 1);
    for (int64_t i = 0; i < m * 40; ++i) out.push(bfloat16, 0);
    auto values = reinterpret_cast<bfloat16_t*>(x.bytes.data());
    values[5] = bfloat16_t(std::numeric_limits<float>::infinity());
    values[2 * 96 + 90] = bfloat16_t(std::numeric_limits<float>::quiet_NaN());
    QuantizedProduct p;
    p.dtype = bfloat16;
    p.x = x.bytes.data();
    p.x_rows = x_rows.data();
    p.out = out.bytes.data();
    p.out_rows = out_rows.data();
    p.m = m;
    p.n = 40;
    p.k = 96;
    p.w = w.view;
    p.code = kind.code;
    multiply_quantized(p);
    auto results = reinterpret_cast<const bfloat16_t*>(out.bytes.data());
    for (int64_t i = 0; i < m * 40; ++i) {
      float got = results[i];
      if (i / 40 == 2) {
        EXPECT_TRUE(std::isnan(got));
      } else {
        EXPECT_EQ(std::isfinite(got), i / 40 != 0);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, QuantizedProducts,
                         testing::Combine(testing::Values(Code::u1, Code::u2, Code::u3, Code::u4,
                                                          Code::u5, Code::u6, Code::u8, Code::e2m1,
                                                          Code::e4m3),
                                          testing::Values(16, 32, 64, 128),
                                          testing::Values(Dtype::Val::float32, Dtype::Val::float16,
                                                          Dtype::Val::bfloat16)));

}  // namespace
