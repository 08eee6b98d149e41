// Arrays and comparisons that the tests of several families share.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <vector>

#include "mlx/mlx.h"

namespace mlx::core {

/** 0, 1, 2, ... in row-major order. */
inline array counted(const Shape& shape, Dtype dtype = float32) {
  return reshape(arange(0.0, static_cast<double>(num_elements(shape)), 1.0, dtype), shape);
}

/** Values between 0.5 and 2, the same for each seed. */
inline array random_values(const Shape& shape, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(0.5f, 2.0f);
  std::vector<float> values(num_elements(shape));
  for (float& v : values) {
    v = uniform(engine);
  }
  return array(values.begin(), shape);
}

inline void expect_equal(const array& a, const array& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_TRUE(array_equal(a, b).item<bool>()) << a << "\n" << b;
}

inline void expect_close(const array& a, const array& b, double tolerance) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_TRUE(allclose(a, b, tolerance, tolerance).item<bool>()) << a << "\n" << b;
}

/** vjp and jvp of f at x against a central difference along a random direction. */
inline void expect_derivatives(const std::function<array(const array&)>& f, const array& x) {
  array direction = random_values(x.shape(), 7);
  array weights = random_values(f(x).shape(), 8);
  float step = 1e-2f;
  array moved = subtract(f(x + step * direction), f(x - step * direction)) / (2 * step);
  expect_close(jvp(f, x, direction).second, moved, 2e-2);
  array cotangent = vjp(f, x, weights).second;
  EXPECT_EQ(cotangent.shape(), x.shape());
  expect_close(sum(cotangent * direction), sum(weights * moved), 2e-2);
}

}  // namespace mlx::core
