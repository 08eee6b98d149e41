// Norms behind a residual sum: the same bits as the sum and the norm one after the other.
#include <gtest/gtest.h>

#include "mlx/backend/cpu/norm.h"
#include "mlx/mlx.h"

using namespace mlx::core;

namespace {

array empty_like(const array& x) {
  return array(allocator::malloc(x.nbytes()), x.shape(), x.dtype());
}

array random_like(Shape shape, Dtype dtype, uint64_t seed) {
  array x = astype(random::normal(shape, float32, random::key(seed)), dtype, Device::cpu);
  x.eval();
  return x;
}

class ResidualNorm : public testing::TestWithParam<Dtype> {};

TEST_P(ResidualNorm, EqualsTheSumAndThenTheNorm) {
  Dtype dtype = GetParam();
  array x = random_like({5, 300}, dtype, 1), residual = random_like({5, 300}, dtype, 2);
  array weight = random_like({300}, dtype, 3), bias = random_like({300}, dtype, 4);
  for (auto kind : {NormSpec::Rms, NormSpec::Layer}) {
    bool is_layer = kind == NormSpec::Layer;
    array out = empty_like(x), sum = empty_like(x);
    cpu::run_norm({kind, 1e-5f, true, is_layer},
                  {x, &residual, &weight, is_layer ? &bias : nullptr, out, &sum});
    array want_sum = add(x, residual, Device::cpu);
    array want = is_layer ? fast::layer_norm(want_sum, weight, bias, 1e-5f, Device::cpu)
                          : fast::rms_norm(want_sum, weight, 1e-5f, Device::cpu);
    EXPECT_TRUE(array_equal(sum, want_sum, Device::cpu).item<bool>());
    EXPECT_TRUE(array_equal(out, want, Device::cpu).item<bool>());
  }
}

TEST_P(ResidualNorm, MayWriteOverItsInputs) {
  Dtype dtype = GetParam();
  array x = random_like({4, 70}, dtype, 1), residual = random_like({4, 70}, dtype, 2);
  array want_sum = add(x, residual, Device::cpu);
  array want = fast::rms_norm(want_sum, std::nullopt, 1e-5f, Device::cpu);
  eval(std::vector<array>{want_sum, want});
  array out = empty_like(x), sum = empty_like(x);
  out.copy_shared_buffer(x);
  sum.copy_shared_buffer(residual);
  cpu::run_norm({NormSpec::Rms, 1e-5f, false, false}, {x, &residual, nullptr, nullptr, out, &sum});
  EXPECT_TRUE(array_equal(sum, want_sum, Device::cpu).item<bool>());
  EXPECT_TRUE(array_equal(out, want, Device::cpu).item<bool>());
}

INSTANTIATE_TEST_SUITE_P(Dtypes, ResidualNorm, testing::Values(float16, bfloat16, float32, float64),
                         [](const auto& info) { return std::string(dtype_name(info.param)); });

}  // namespace
