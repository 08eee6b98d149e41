// Transforms from C++: derivatives, batching, compilation, rules of one's own, and their nesting.
#include <gtest/gtest.h>

#include <cmath>

#include "mlx/mlx.h"

using namespace mlx::core;

namespace {

using Fn = std::function<array(const array&)>;
using VecFn = std::function<std::vector<array>(const std::vector<array>&)>;

bool close(const array& a, const array& b) { return allclose(a, b, 1e-4, 1e-5).item<bool>(); }

}  // namespace

TEST(Transforms, GradientsOfGradients) {
  Fn f = [](const array& x) { return sin(x) * x; };
  array x(0.3f);
  auto second = grad(grad(f));
  float expected = 2 * std::cos(0.3f) - 0.3f * std::sin(0.3f);
  EXPECT_NEAR(second(x).item<float>(), expected, 1e-5);
}

TEST(Transforms, VjpAndJvpAgree) {
  VecFn f = [](const std::vector<array>& in) {
    return std::vector<array>{tanh(in[0] * in[1]) + in[1]};
  };
  array x({0.1f, -0.4f, 2.0f});
  array y({0.5f, 0.25f, -1.0f});
  array u({1.0f, 2.0f, 3.0f});
  array v({-1.0f, 0.5f, 0.25f});
  auto tangents = jvp(f, {x, y}, {u, v}).second;
  auto grads = vjp(f, {x, y}, {array({1.0f, 1.0f, 1.0f})}).second;
  EXPECT_TRUE(close(sum(tangents[0]), sum(grads[0] * u + grads[1] * v)));
}

TEST(Transforms, BroadcastInputsGetGradientsOfTheirShape) {
  auto f = [](const std::vector<array>& in) { return sum(in[0] * in[1]); };
  auto grads = grad(std::function<array(const std::vector<array>&)>(f),
                    std::vector<int>{0, 1})({ones({3, 1}), ones({4})});
  EXPECT_EQ(grads[0].shape(), (Shape{3, 1}));
  EXPECT_EQ(grads[1].shape(), (Shape{4}));
  EXPECT_EQ(grads[1].dtype(), float32);
  EXPECT_TRUE(close(grads[0], full({3, 1}, 4.0f)));
}

TEST(Transforms, NonScalarLossIsRefused) {
  Fn f = [](const array& x) { return x * array(2.0f); };
  EXPECT_THROW(grad(f)(array({1.0f, 2.0f})), std::invalid_argument);
}

TEST(Transforms, VmapOfGradOfVmap) {
  Fn inner = [](const array& x) { return x * x * x; };
  Fn f = [&inner](const array& row) { return sum(vmap(inner)(row)); };
  array x = reshape(arange(0.0, 6.0, 1.0), {2, 3});
  EXPECT_TRUE(close(vmap(grad(f))(x), array(3.0f) * x * x));
}

TEST(Transforms, VmapRefusesAxesThatDisagree) {
  auto f = [](const array& a, const array& b) { return a + b; };
  std::function<array(const array&, const array&)> fn = f;
  EXPECT_THROW(vmap(fn)(zeros({2, 3}), zeros({4, 3})), std::invalid_argument);
}

TEST(Transforms, CompileTracesOncePerShapeAndDtype) {
  int traces = 0;
  VecFn f = [&traces](const std::vector<array>& in) {
    traces++;
    return std::vector<array>{exp(in[0]) + in[0] * array(2.0f) + in[0] * array(2.0f)};
  };
  auto c = compile(f);
  array x({0.0f, 1.0f});
  EXPECT_TRUE(close(c({x})[0], exp(x) + array(4.0f) * x));
  c({x});
  EXPECT_EQ(traces, 1);
  c({array({1.0f})});
  EXPECT_EQ(traces, 2);
  c({astype(x, float16)});
  EXPECT_EQ(traces, 3);
}

TEST(Transforms, ShapelessCompileTracesTwice) {
  int traces = 0;
  VecFn f = [&traces](const std::vector<array>& in) {
    traces++;
    return std::vector<array>{sum(in[0] * in[0], 0, false)};
  };
  auto c = compile(f, true);
  EXPECT_EQ(c({ones({3, 2})})[0].shape(), (Shape{2}));
  auto out = c({ones({5, 4})})[0];
  EXPECT_TRUE(close(out, full({4}, 5.0f)));
  EXPECT_TRUE(close(c({ones({7, 6})})[0], full({6}, 7.0f)));
  EXPECT_EQ(traces, 2);
}

TEST(Transforms, GradientsPassThroughCompiledFunctions) {
  VecFn f = [](const std::vector<array>& in) { return std::vector<array>{sin(in[0]) * in[0]}; };
  auto c = compile(f);
  Fn g = [&c](const array& x) { return c({x})[0]; };
  Fn plain = [&f](const array& x) { return f({x})[0]; };
  array x(0.7f);
  EXPECT_TRUE(close(grad(g)(x), grad(plain)(x)));
  EXPECT_TRUE(close(grad(grad(g))(x), grad(grad(plain))(x)));
}

TEST(Transforms, TracedValuesCannotBeReadWhileCompiling) {
  VecFn f = [](const std::vector<array>& in) {
    array y = in[0] + array(1.0f);
    y.eval();
    return std::vector<array>{y};
  };
  EXPECT_THROW(compile(f)({array(1.0f)}), std::invalid_argument);
}

TEST(Transforms, ValuesCanBeReadWhileDifferentiating) {
  Fn f = [](const array& x) {
    array y = x * x;
    return y.item<float>() > 1 ? y * y : y;
  };
  EXPECT_FLOAT_EQ(grad(f)(array(2.0f)).item<float>(), 32.0f);
  EXPECT_FLOAT_EQ(grad(f)(array(0.5f)).item<float>(), 1.0f);
}

TEST(Transforms, CustomRulesAreUsedAndBatch) {
  VecFn f = [](const std::vector<array>& in) { return std::vector<array>{in[0] * array(2.0f)}; };
  auto rule = [](const std::vector<array>&, const std::vector<array>& cotangents,
                 const std::vector<array>&) {
    return std::vector<array>{cotangents[0] * array(10.0f)};
  };
  auto custom = custom_vjp(f, rule);
  Fn g = [&custom](const array& x) { return custom({x})[0]; };
  EXPECT_FLOAT_EQ(grad(g)(array(1.0f)).item<float>(), 10.0f);
  EXPECT_TRUE(close(vmap(grad(g))(ones({3})), full({3}, 10.0f)));
  Fn total = [&g](const array& x) { return sum(vmap(g)(x)); };
  EXPECT_TRUE(close(grad(total)(ones({3})), full({3}, 10.0f)));
  auto tangent = jvp(VecFn(custom), {array(1.0f)}, {array(1.0f)}).second[0];
  EXPECT_FLOAT_EQ(tangent.item<float>(), 2.0f);
}

TEST(Transforms, CheckpointGivesTheSameGradient) {
  VecFn f = [](const std::vector<array>& in) {
    array x = in[0];
    for (int i = 0; i < 5; i++) {
      x = sin(x) + x;
    }
    return std::vector<array>{x};
  };
  Fn plain = [&f](const array& x) { return f({x})[0]; };
  Fn saved = [&f](const array& x) { return checkpoint(f)({x})[0]; };
  EXPECT_TRUE(close(grad(saved)(array(0.4f)), grad(plain)(array(0.4f))));
}
