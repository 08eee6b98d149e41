// Calls of large compiled functions: their graphs are built only for who looks at them, and nobody
// can tell by the values.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <thread>

#include "mlx/graph/deferred.h"
#include "mlx/graph_utils.h"
#include "mlx/mlx.h"
#include "mlx/plans.h"

using namespace mlx::core;

namespace {

using Arrays = std::vector<array>;

/** Two states and a loss of many nodes, some of them with several outputs; and what is no node of
 *  its own: an argument, a constant, a result for the second time. */
Arrays step(const Arrays& in) {
  static const array constant(2.0f);
  array x = in[0], y = in[1], rate = in[2];
  for (int i = 0; i < 40; i++) {
    auto halves = split(concatenate({x, y}, 0), 2, 0);
    x = tanh(halves[0] * array(0.5f) + halves[1] * rate);
    y = y + x * array(0.25f) + rate;
  }
  auto parts = split(x - y, 2, 0);
  return {x, y, sum(parts[0]), in[0], constant, x, parts[1]};
}

array input(float scale) {
  array x = reshape(arange(0.0, 64.0, 1.0), {8, 8}) * array(scale);
  eval(x);
  return x;
}

array rate(float value) {
  array r(value);
  eval(r);
  return r;
}

bool is_deferred(const array& a) { return detail::DeferredCall::of(a) != nullptr; }

/** The first `count` outputs are the function's. */
void expect_same(const Arrays& got, const Arrays& in, size_t count = 7) {
  auto expected = step(in);
  eval(expected);
  for (size_t i = 0; i < count; i++) {
    EXPECT_TRUE(array_equal(got[i], expected[i]).item<bool>()) << "output " << i;
  }
}

template <typename F>
void expect_call_gives_the_same(F& f, const Arrays& in) {
  auto out = f(in);
  eval(out);
  expect_same(out, in);
}

}  // namespace

TEST(Deferred, RepeatedCallsGiveTheSameAsTheFunction) {
  auto f = compile(step);
  for (int i = 0; i < 5; i++) {
    Arrays in = {input(0.01f * i), input(0.02f), rate(0.1f)};
    auto out = f(in);
    EXPECT_TRUE(is_deferred(out[0]));
    EXPECT_FALSE(is_deferred(out[3]));
    EXPECT_EQ(out[0].id(), out[5].id());
    eval(out);
    EXPECT_FALSE(out[0].has_primitive());
    expect_same(out, in);
  }
}

TEST(Deferred, StateGoesFromCallToCall) {
  auto f = compile(step);
  Arrays state = {input(0.01f), input(0.02f), rate(0.1f)}, plain = state;
  for (int i = 0; i < 6; i++) {
    auto out = f(state);
    auto expected = step(plain);
    if (i != 3) eval(out);  // once, two calls are evaluated together
    eval(expected);
    state = {out[0], out[1], state[2]};
    plain = {expected[0], expected[1], plain[2]};
  }
  EXPECT_TRUE(array_equal(state[0], plain[0]).item<bool>());
  EXPECT_TRUE(array_equal(state[1], plain[1]).item<bool>());
}

TEST(Deferred, APartOfTheOutputsIsEvaluated) {
  auto f = compile(step);
  for (int i = 0; i < 4; i++) {
    Arrays in = {input(0.01f), input(0.02f * i), rate(0.1f)};
    auto out = f(in);
    eval(out[6]);
    expect_same(out, in);
  }
}

TEST(Deferred, SmallResultsComeWithTheOthers) {
  auto f = compile([](const Arrays& in) {
    auto out = step({tile(in[0], {16, 16}), tile(in[1], {16, 16}), in[2]});
    return Arrays{out[0], out[1], out[2], tanh(out[1])};
  });
  for (int i = 0; i < 4; i++) {
    auto out = f({input(0.01f), input(0.02f), rate(0.1f)});
    eval(out[0], out[1], out[3]);
    EXPECT_NE(out[2].status(), array::Status::unscheduled);
    auto part = f({input(0.01f), input(0.02f), rate(0.1f)});
    eval(part[2]);
    EXPECT_EQ(part[3].status(), array::Status::unscheduled);
    EXPECT_TRUE(array_equal(part[3], out[3]).item<bool>());
  }
}

TEST(Deferred, WhatIsMadeOnTheWayIsMadeForGood) {
  auto f = compile([](const Arrays& in) {
    auto out = step({tile(in[0], {16, 16}), tile(in[1], {16, 16}), in[2]});
    return Arrays{out[0], out[1], tanh(out[0] + out[1])};
  });
  for (int i = 0; i < 5; i++) {
    Arrays in = {input(0.01f * i), input(0.02f), rate(0.1f)};
    auto out = f(in);
    eval(out[2]);
    EXPECT_NE(out[0].status(), array::Status::unscheduled);
    EXPECT_TRUE(array_equal(out[2], tanh(out[0] + out[1])).item<bool>());
    expect_same({out[0], out[1]}, {tile(in[0], {16, 16}), tile(in[1], {16, 16}), in[2]}, 2);
  }
}

TEST(Deferred, WhatNobodyHoldsIsLeftOut) {
  auto f = compile(step);
  for (int i = 0; i < 6; i++) {
    Arrays in = {input(0.01f), input(0.02f), rate(0.1f * i)};
    auto out = f(in);
    array kept = i % 2 ? out[6] : out[1];
    out.clear();
    eval(kept);
    EXPECT_TRUE(array_equal(kept, step(in)[i % 2 ? 6 : 1]).item<bool>());
  }
}

TEST(Deferred, OneArrayForTwoArgumentsIsNotTwo) {
  auto f = compile(step);
  array x = input(0.01f), y = input(0.02f);
  for (bool same : {true, true, true, false, false, false, true}) {
    Arrays in = {x, same ? x : y, rate(0.1f)};
    expect_call_gives_the_same(f, in);
  }
}

TEST(Deferred, AZeroIsNotAnyNumber) {
  auto f = compile(step);
  for (float value : {0.0f, 0.0f, 0.0f, 0.5f, 0.5f, 0.0f}) {
    Arrays in = {input(0.01f), input(0.02f), array(value)};
    expect_call_gives_the_same(f, in);
  }
}

TEST(Deferred, ResultsTakePartInGraphsAndTraces) {
  auto f = compile(step);
  Arrays in = {input(0.01f), input(0.02f), rate(0.1f)};
  for (int i = 0; i < 3; i++) {
    array y = f(in)[1] * array(2.0f);
    EXPECT_TRUE(array_equal(y, step(in)[1] * array(2.0f)).item<bool>());
    auto loss = [&](const array& x) { return sum(x * f(in)[0] + f({x, in[1], in[2]})[1]); };
    auto plain = [&](const array& x) { return sum(x * step(in)[0] + step({x, in[1], in[2]})[1]); };
    EXPECT_TRUE(allclose(grad(loss)(in[0]), grad(plain)(in[0])).item<bool>());
  }
}

TEST(Deferred, InputsMayBeUnevaluated) {
  auto f = compile(step);
  for (int i = 0; i < 4; i++) {
    Arrays in = {input(0.01f) + array(1.0f), input(0.02f), rate(0.1f)};
    expect_call_gives_the_same(f, in);
  }
}

TEST(Deferred, PlansMayBeForgotten) {
  auto f = compile(step);
  Arrays in = {input(0.01f), input(0.02f), rate(0.1f)};
  for (int i = 0; i < 6; i++) {
    auto out = f(in);
    eval(out);
    if (i == 3) clear_plan_cache();
    expect_same(out, in);
  }
}

TEST(Deferred, OutputsMayOutliveTheFunction) {
  Arrays in = {input(0.01f), input(0.02f), rate(0.1f)};
  Arrays out;
  {
    auto f = compile(step);
    out = f(in);
  }
  eval(out);
  expect_same(out, in);
}

TEST(Deferred, TheGraphCanBeLookedAt) {
  auto f = compile(step);
  auto out = f({input(0.01f), input(0.02f), rate(0.1f)});
  std::ostringstream text;
  print_graph(text, {}, out);
  EXPECT_EQ(text.str().find("DeferredCall"), std::string::npos);
  EXPECT_NE(text.str().find("Split"), std::string::npos);
  EXPECT_FALSE(is_deferred(out[0]));
}

TEST(Deferred, ThreadsShareAFunction) {
  auto f = compile(step);
  Arrays in = {input(0.01f), input(0.02f), rate(0.1f)};
  auto expected = step(in);
  eval(expected);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; i++) {
        auto out = f(in);
        eval(out);
        if (!array_equal(out[1], expected[1]).item<bool>()) wrong++;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Deferred, FailuresReachTheOutputs) {
  auto f = compile([](const Arrays& in) {
    array x = in[0];
    for (int i = 0; i < 70; i++) x = reshape(cumsum(x * array(0.5f), 0), {8, 8});
    return Arrays{x, linalg::cholesky(in[1], false, Device::cpu)};
  });
  for (bool fails : {false, false, false, true, false}) {
    auto out = f({input(0.01f), fails ? -eye(8) : eye(8)});
    if (fails) {
      EXPECT_THROW(eval(out), std::runtime_error);
    } else {
      EXPECT_NO_THROW(eval(out));
    }
  }
}
