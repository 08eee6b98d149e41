// Fits a line in 100 dimensions by stochastic gradient descent: the smallest complete program that
// uses value_and_grad from C++.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <vector>

#include "mlx/mlx.h"

namespace mx = mlx::core;

int main() {
  constexpr int features = 100;
  constexpr int examples = 1000;
  constexpr int steps = 2000;
  constexpr float learning_rate = 0.01f;

  mx::random::seed(0);
  const mx::array truth = mx::random::normal({features});
  const mx::array x = mx::random::normal({examples, features});
  const mx::array noise = 0.01f * mx::random::normal({examples});
  const mx::array y = mx::matmul(x, truth) + noise;

  auto loss = [&](const std::vector<mx::array>& params) {
    return 0.5f * mx::mean(mx::square(mx::matmul(x, params[0]) - y));
  };
  const auto loss_and_grad = mx::value_and_grad(loss);

  mx::array w = mx::zeros({features});
  mx::array value(0.0f);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < steps; i++) {
    auto [current, grads] = loss_and_grad({w});
    value = current;
    w = w - learning_rate * grads[0];
    mx::eval(w, value);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

  const float distance = mx::sqrt(mx::sum(mx::square(w - truth))).item<float>();
  std::printf("loss %.2e, |w - truth| %.2e, %.0f steps per second\n", value.item<float>(), distance,
              steps / seconds.count());
  return distance < 0.05f ? 0 : 1;
}
