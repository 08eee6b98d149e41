// Convolutions of random shapes and parameters: the result against the definition, and derivatives
// as adjoints of it. Runs under the sanitizers, which the patches' copies are to be clean under.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "mlx/ops.h"
#include "mlx/primitives/conv.h"
#include "mlx/transforms.h"

using namespace mlx::core;

namespace {

struct Case {
  Shape input, weight;
  ConvParams params;
  Dtype dtype = float64;
};

class Generator {
 public:
  int pick(int low, int high) { return low + static_cast<int>(engine_() % (high - low + 1)); }

  array values(const Shape& shape, Dtype dtype) {
    std::vector<double> data(num_elements(shape));
    for (double& x : data) {
      x = pick(-100, 100) / 100.0;
    }
    return astype(array(data.begin(), shape, float64), dtype);
  }

  Case one() {
    Case c;
    int spatial = pick(1, 3), most = spatial == 1 ? 20 : spatial == 2 ? 9 : 5;
    bool depthwise = pick(0, 3) == 0;
    int channels = depthwise ? 1 : pick(1, 20);
    ConvParams& p = c.params;
    p.groups = depthwise ? pick(2, 20) : pick(1, 2);
    p.flip = pick(0, 1);
    c.input = {pick(1, 2)};
    c.weight = {p.groups * (depthwise ? 1 : pick(1, 20))};
    for (int i = 0; i < spatial; i++) {
      c.input.push_back(pick(3, most));
      c.weight.push_back(pick(1, 3));
      p.stride.push_back(pick(1, 3));
      p.padding_lo.push_back(pick(0, 2));
      p.padding_hi.push_back(pick(0, 2));
      p.kernel_dilation.push_back(pick(1, 2));
      p.input_dilation.push_back(pick(0, 1) ? 1 : pick(2, 3));
    }
    c.input.push_back(channels * p.groups);
    c.weight.push_back(channels);
    constexpr Dtype dtypes[] = {float64, float32, bfloat16, float16};
    c.dtype = dtypes[pick(0, 3)];
    return c;
  }

 private:
  std::mt19937 engine_{11};
};

array convolve(const array& x, const array& w, const ConvParams& p) {
  return conv_general(x, w, p.stride, p.padding_lo, p.padding_hi, p.kernel_dilation,
                      p.input_dilation, p.groups, p.flip);
}

/** Where kernel position k lets output position o read the input; -1 outside. */
int source(int o, int k, int axis, const Case& c) {
  const ConvParams& p = c.params;
  int at = o * p.stride[axis] + k * p.kernel_dilation[axis] - p.padding_lo[axis];
  if (at < 0 || at % p.input_dilation[axis] != 0) {
    return -1;
  }
  at /= p.input_dilation[axis];
  return at < c.input[axis + 1] ? at : -1;
}

/** The indices of a row-major position. */
Shape unravel(size_t index, const Shape& shape) {
  Shape at = shape;
  for (int i = static_cast<int>(shape.size()) - 1; i >= 0; i--) {
    at[i] = static_cast<int>(index % shape[i]);
    index /= shape[i];
  }
  return at;
}

size_t ravel(const Shape& at, const Shape& shape) {
  size_t index = 0;
  for (size_t i = 0; i < shape.size(); i++) {
    index = index * shape[i] + at[i];
  }
  return index;
}

std::vector<double> read(const array& a) {
  array wide = contiguous(astype(a, float64));
  wide.eval();
  return {wide.data<double>(), wide.data<double>() + wide.size()};
}

/** One output by the definition, and the sum of its terms' magnitudes. */
std::pair<double, double> expected(const Shape& out, const std::vector<double>& x,
                                   const std::vector<double>& w, const Case& c) {
  int spatial = static_cast<int>(c.params.stride.size()), channels = c.weight[spatial + 1];
  int group = out.back() / (c.weight[0] / c.params.groups);
  Shape kernel(c.weight.begin() + 1, c.weight.end() - 1);
  double sum = 0, magnitude = 1;
  for (size_t k = 0; k < num_elements(kernel); k++) {
    Shape position = unravel(k, kernel), in = out, weight = c.weight;
    weight[0] = out.back();
    bool inside = true;
    for (int i = 0; i < spatial; i++) {
      in[i + 1] = source(out[i + 1], position[i], i, c);
      inside &= in[i + 1] >= 0;
      weight[i + 1] = c.params.flip ? kernel[i] - 1 - position[i] : position[i];
    }
    for (int channel = 0; inside && channel < channels; channel++) {
      in[spatial + 1] = group * channels + channel;
      weight[spatial + 1] = channel;
      double term = x[ravel(in, c.input)] * w[ravel(weight, c.weight)];
      sum += term;
      magnitude += std::abs(term);
    }
  }
  return {sum, magnitude};
}

double precision(Dtype dtype) {
  return dtype == float64 ? 1e-14 : dtype == float32 ? 1e-6 : dtype == float16 ? 1e-3 : 8e-3;
}

double dot(const array& a, const array& b) {
  return sum(multiply(astype(a, float64), astype(b, float64))).item<double>();
}

}  // namespace

TEST(Conv, AgreesWithItsDefinitionAndItsDerivatives) {
  Generator generator;
  for (int i = 0; i < 150; i++) {
    Case c = generator.one();
    array x = generator.values(c.input, c.dtype), w = generator.values(c.weight, c.dtype);
    Shape shape;
    try {
      shape = Convolution::output_shape(c.input, c.weight, c.params);
    } catch (const std::invalid_argument&) {
      continue;
    }
    SCOPED_TRACE(testing::Message() << i << ": " << c.input << " " << c.weight);
    array y = convolve(x, w, c.params);
    ASSERT_EQ(y.shape(), shape);
    std::vector<double> xs = read(x), ws = read(w), ys = read(y);
    for (size_t j = 0; j < ys.size(); j++) {
      auto [value, magnitude] = expected(unravel(j, shape), xs, ws, c);
      ASSERT_LE(std::abs(ys[j] - value), precision(c.dtype) * magnitude);
    }
    array g = generator.values(shape, c.dtype);
    auto f = [&](const std::vector<array>& in) {
      return std::vector<array>{convolve(in[0], in[1], c.params)};
    };
    std::vector<array> gradients = vjp(f, {x, w}, {g}).second;
    double scale = std::sqrt(dot(y, y) * dot(g, g)) + 1;
    EXPECT_NEAR(dot(gradients[0], x), dot(y, g), 4 * precision(c.dtype) * scale);
    EXPECT_NEAR(dot(gradients[1], w), dot(y, g), 4 * precision(c.dtype) * scale);
  }
}
