// Control flow in C++: branches, loops and scans against plain loops.
#include "mlx/control.h"

#include <gtest/gtest.h>

#include "mlx/mlx.h"
#include "tests/cpp/arrays.h"

using namespace mlx::core;

namespace {

using Arrays = std::vector<array>;

}  // namespace

TEST(Control, OneBranchRuns) {
  array x = random_values({3}, 1), w = random_values({3}, 2);
  auto choose = [&](bool flag, const array& a) {
    return cond(
        array(flag), [&](const Arrays& in) { return Arrays{exp(in[0]) * w}; },
        [](const Arrays& in) { return Arrays{in[0] - 1.0f}; }, {a})[0];
  };
  expect_close(choose(true, x), exp(x) * w, 1e-6);
  expect_equal(choose(false, x), x - 1.0f);
  expect_derivatives([&](const array& a) { return choose(true, a); }, x);
}

TEST(Control, LoopsEndByTheirCondition) {
  auto out = while_loop([](const Arrays& in) { return sum(in[0]) < array(100.0f); },
                        [](const Arrays& in) {
                          return Arrays{in[0] * 2.0f, in[1] + array(1)};
                        },
                        {array({1.0f, 2.0f}), array(0)});
  expect_equal(out[0], array({64.0f, 128.0f}));
  EXPECT_EQ(out[1].item<int>(), 6);
}

TEST(Control, ScansCarryAndCollect) {
  array xs = random_values({5, 3}, 1), c = random_values({3}, 2);
  auto turn = [](const Arrays& carry, const Arrays& x) {
    array next = tanh(carry[0] * x[0]);
    return std::pair(Arrays{next}, Arrays{square(next)});
  };
  auto [last, collected] = scan(turn, {c}, {xs});
  array expected = c;
  for (int i = 0; i < 5; i++) expected = tanh(expected * take(xs, i, 0));
  expect_close(last[0], expected, 1e-6);
  EXPECT_EQ(collected[0].shape(), (Shape{5, 3}));
  expect_derivatives([&](const array& a) { return scan(turn, {a}, {xs}).second[0]; }, c);
  expect_derivatives([&](const array& a) { return scan(turn, {c}, {a}, 5, true).first[0]; }, xs);
}

TEST(Control, FunctionsStayOnTheStreamOfTheNode) {
  Stream other = new_stream(Device::cpu);
  auto elsewhere = [&](const Arrays& in) { return Arrays{exp(in[0], other)}; };
  EXPECT_THROW(cond(array(true), elsewhere, elsewhere, {array(1.0f)}), std::invalid_argument);
  expect_equal(cond(array(true), elsewhere, elsewhere, {array(1.0f)}, other)[0], exp(array(1.0f)));
}
