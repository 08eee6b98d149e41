// Plans: found again for graphs of one structure, right whatever else differs, and plain ops in the
// place of nodes that a backend does not support.
#include <gtest/gtest.h>

#include <algorithm>

#include "mlx/backend/backend.h"
#include "mlx/graph/plan.h"
#include "mlx/mlx.h"
#include "mlx/plans.h"

using namespace mlx::core;

namespace {

size_t plans_made() { return plan_cache_info().made; }

/** An element-wise chain, a reduction and a product. */
array model(const array& x, const array& w) {
  array h = matmul(x * array(2.0f), w);
  return sum(exp(h) - array(1.0f), -1) + array(0.5f);
}

array expected(const array& x, const array& w) {
  detail::set_fusion_enabled(false);
  array y = model(x, w);
  eval(y);
  detail::set_fusion_enabled(true);
  return y;
}

array input(int rows, float scale) {
  array x = reshape(arange(0.0, rows * 8.0, 1.0), {rows, 8}) * array(scale);
  eval(x);
  return x;
}

array weights(Dtype dtype = float32) {
  array w = astype(reshape(arange(0.0, 64.0, 1.0), {8, 8}) * array(0.001f), dtype);
  eval(w);
  return w;
}

/** The names of the steps that run while it lives. */
class Steps : public StepObserver {
 public:
  Steps() { add_step_observer(this); }
  ~Steps() override { remove_step_observer(this); }
  void before_step(const Primitive& primitive, const std::vector<array>&) override {
    names.emplace_back(primitive.name());
  }
  void after_step(const Primitive&, const std::vector<array>&, const std::vector<array>&) override {
  }

  std::vector<std::string> names;
};

bool same(const array& a, const array& b) { return array_equal(a, b).item<bool>(); }

}  // namespace

TEST(Plans, AGraphOfKnownStructureIsNotPlannedAgain) {
  array w = weights(), x = input(4, 0.01f), y = input(4, 0.02f);
  eval(model(x, w));
  size_t before = plans_made();
  array again = model(y, w);
  eval(again);
  EXPECT_EQ(plans_made(), before);
  EXPECT_TRUE(same(again, expected(y, w)));
}

TEST(Plans, LengthsAreNoStructure) {
  array w = weights();
  eval(model(input(4, 0.01f), w));
  size_t before = plans_made();
  for (int rows : {5, 6, 1, 30}) {
    array x = input(rows, 0.01f);
    size_t with_input = plans_made();
    array y = model(x, w);
    eval(y);
    EXPECT_EQ(plans_made(), with_input);
    EXPECT_TRUE(same(y, expected(x, w)));
  }
  EXPECT_LE(plans_made(), before + 4);
}

TEST(Plans, OffsetsAreNoStructure) {
  array cache = zeros({64, 8});
  eval(cache);
  auto write = [&](int at) {
    array row = full({1, 8}, static_cast<float>(at)) + array(0.0f);
    cache = slice_update(cache, row, Shape{at, 0}, Shape{at + 1, 8});
    array read = sum(slice(cache, Shape{0, 0}, Shape{at + 1, 8})) * array(1.0f);
    eval(read, cache);
    return read.item<float>();
  };
  write(1);
  size_t before = plans_made();
  EXPECT_EQ(write(2), 24.0f);
  EXPECT_EQ(write(3), 48.0f);
  EXPECT_EQ(plans_made(), before);
}

TEST(Plans, DtypesAreStructure) {
  array x = input(4, 0.01f);
  eval(model(x, weights()));
  array half = astype(x, float16), w = weights(float16);
  eval(half);
  array y = model(half, w);
  eval(y);
  EXPECT_TRUE(same(y, expected(half, w)));
}

TEST(Plans, WhatIsHeldOutsideIsStored) {
  array x = input(4, 1.0f);
  auto build = [&](std::vector<array>* held) {
    array h = x + array(1.0f);
    if (held) held->push_back(h);
    return h * array(3.0f);
  };
  eval(build(nullptr));
  std::vector<array> held;
  array y = build(&held);
  eval(y);
  EXPECT_TRUE(held[0].is_available());
  EXPECT_FALSE(held[0].has_primitive());
  EXPECT_TRUE(same(held[0], x + array(1.0f)));
  held.clear();
  EXPECT_TRUE(same(build(nullptr), y));
}

TEST(Plans, TheSameArrayTwiceIsNotTwoArrays) {
  array x = input(4, 1.0f), y = input(4, 2.0f);
  auto build = [](const array& a, const array& b) { return (a + array(1.0f)) * (b + array(1.0f)); };
  array square = build(x, x), product = build(x, y);
  eval(square);
  eval(product);
  EXPECT_TRUE(same(square, (x + array(1.0f)) * (x + array(1.0f))));
  EXPECT_TRUE(same(product, y * x + x + y + array(1.0f)));
}

TEST(Plans, StreamsTakeTheirPlace) {
  array x = input(64, 0.01f);
  auto build = [&](Stream first, Stream second) {
    array h = exp(x * array(2.0f), first);
    return sum(add(h, array(1.0f), second), second);
  };
  Stream s = default_stream(Device::cpu), t = new_stream(Device::cpu), u = new_stream(Device::cpu);
  float one = build(s, s).item<float>();
  EXPECT_EQ(build(s, t).item<float>(), one);
  EXPECT_EQ(build(t, u).item<float>(), one);
  EXPECT_EQ(build(u, u).item<float>(), one);
}

TEST(Plans, DonationIsDecidedAnew) {
  auto build = [](array a) { return exp(std::move(a)) + array(1.0f); };
  array kept = input(1000, 0.001f);
  array first = build(kept + array(0.0f));
  eval(first);
  array second = build(kept + array(0.0f));
  eval(second);
  array copy = kept + array(0.0f);
  eval(copy);
  array third = build(copy), fourth = build(copy);
  eval(third);
  eval(fourth);
  EXPECT_TRUE(same(first, second) && same(third, fourth) && same(first, third));
  EXPECT_TRUE(same(copy, kept));
}

TEST(Plans, EqualScalarsAndZeros) {
  array x = input(4, 1.0f) - array(10.0f);
  eval(x);
  auto build = [&](float least) { return maximum(matmul(x, weights()), array(least)); };
  array rectified = build(0.0f), other = build(-0.25f);
  eval(rectified);
  eval(other);
  EXPECT_EQ(min(rectified).item<float>(), 0.0f);
  EXPECT_EQ(min(other).item<float>(), -0.25f);
}

TEST(Plans, TheCacheIsBoundedAndCanBeCleared) {
  size_t limit = set_plan_cache_limit(64);
  for (int length = 2; length < 60; length++) {
    array x = input(2, 1.0f);
    for (int i = 0; i < length; i++) x = i % 3 ? sum(x, -1, true) : exp(x * array(0.0f));
    eval(x);
    EXPECT_LE(plan_cache_info().nodes, 64u);
  }
  clear_plan_cache();
  EXPECT_EQ(plan_cache_info().plans, 0u);
  set_plan_cache_limit(limit);
}

TEST(Plans, CompiledGradientsHoldNoIdentities) {
  auto loss = [](const std::vector<array>& a) { return sum(tanh(matmul(a[0], a[1])) * a[1]); };
  auto step = compile([&](const std::vector<array>& a) {
    auto [value, grads] = value_and_grad(loss, std::vector<int>{0, 1})({a[0] * a[1], a[1]});
    return std::vector<array>{value, grads[0], grads[1]};
  });
  array x = input(8, 0.01f), w = weights();
  Steps steps;
  auto results = step({x, w});
  eval(results);
  synchronize();
  EXPECT_EQ(std::count(steps.names.begin(), steps.names.end(), "Identity"), 0);
  EXPECT_TRUE(same(results[0], loss({x * w, w})));
  EXPECT_TRUE(same(compile([](const std::vector<array>& a) { return a; })({x})[0], x));
}

TEST(Plans, AProgramRunsBehindTheProductThatItAloneReads) {
  if (default_device() != Device::cpu) GTEST_SKIP() << "what a GPU runs as one is its own matter";
  array x = input(6, 0.01f), w = weights(), bias = input(1, 0.1f);
  auto steps_of = [&](auto&& build) {
    array y = build(matmul(x, w));
    Steps steps;
    eval(y);
    synchronize();
    return steps.names;
  };
  using Names = std::vector<std::string>;
  auto layer = [&](const array& product) { return tanh(product + bias) * array(2.0f) + x; };
  EXPECT_EQ(steps_of(layer), Names{"Fused"});
  EXPECT_EQ(steps_of([&](const array& product) { return astype(product, float16); }),
            Names{"Fused"});
  auto read_twice = [&](const array& product) { return layer(product) + sum(product); };
  EXPECT_GT(steps_of(read_twice).size(), 1u);
}
