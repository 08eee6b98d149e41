// Window functions, each symmetric with M samples of float32. Computed in double on the host, so
// every sample is correctly rounded up to the error of the cosine.
#include <cmath>
#include <numbers>
#include <vector>

#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

// The samples f(i / (M - 1)); one sample is 1, and no or a negative number of them give none.
template <typename F>
array window(int M, F f) {
  std::vector<float> samples;
  for (int i = 0; i < M; i++) {
    samples.push_back(M == 1 ? 1.0f : static_cast<float>(f(static_cast<double>(i) / (M - 1))));
  }
  return array(samples.begin(), Shape{static_cast<ShapeElem>(samples.size())}, float32);
}

double cosine(double turns) { return std::cos(2 * std::numbers::pi * turns); }

}  // namespace

array hanning(int M, StreamOrDevice) {
  return window(M, [](double t) { return 0.5 - 0.5 * cosine(t); });
}

array hamming(int M, StreamOrDevice) {
  return window(M, [](double t) { return 0.54 - 0.46 * cosine(t); });
}

array bartlett(int M, StreamOrDevice) {
  return window(M, [](double t) { return 1 - std::abs(2 * t - 1); });
}

array blackman(int M, StreamOrDevice) {
  return window(M, [](double t) { return 0.42 - 0.5 * cosine(t) + 0.08 * cosine(2 * t); });
}

}  // namespace mlx::core
