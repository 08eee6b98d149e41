// The checks for NaN from C++: what fails, what it says with and without lines, and what is kept.
#include <gtest/gtest.h>

#include <limits>

#include "mlx/core/origins.h"
#include "mlx/mlx.h"
#include "mlx/plans.h"

using namespace mlx::core;

namespace {

class Debug : public testing::Test {
 protected:
  void SetUp() override { set_debug({.nan_checks = true}); }
  void TearDown() override {
    set_debug({});
    set_origin_source(nullptr);
  }
};

std::string failure_of(array a) {
  try {
    a.eval();
  } catch (const NanError& e) {
    return e.what();
  }
  return "";
}

int place = 0;
std::string here() { return "place " + std::to_string(place); }

}  // namespace

TEST_F(Debug, NamesTheOpThatMadeTheFirstNan) {
  array x({-1.0f, 4.0f});
  array y = exp(log(x, Device::cpu) * array(2.0f), Device::cpu);
  EXPECT_EQ(failure_of(y), "[Log] The first NaN: float32 (2) made of float32 (2).");
  EXPECT_THROW(y.eval(), NanError);  // stays what it is
  EXPECT_EQ(failure_of(exp(array(std::numeric_limits<float>::quiet_NaN()))), "");
}

TEST_F(Debug, DerivedNodesComeFromWhereTheirsWereMade) {
  set_origin_source(here);
  auto f = [](const array& x) {
    place = 1;
    array y = sqrt(x);
    place = 2;
    return sum(y * array(0.0f));
  };
  array g = grad(std::function<array(const array&)>(f))(array({0.0f}));
  place = 3;
  std::string text = failure_of(g);
  EXPECT_NE(text.find("place 1 (derivative of Sqrt)"), std::string::npos) << text;
}

TEST_F(Debug, IsOffAgain) {
  EXPECT_TRUE(debug_options().nan_checks);
  set_debug({});
  EXPECT_FALSE(debug_options().nan_checks);
  EXPECT_FALSE(keeps_origins());
  EXPECT_EQ(failure_of(log(array(-1.0f))), "");
}

TEST(Kept, StaysLevelWhereAProgramRepeatsItself) {
  array x = ones({4, 4});
  x.eval();
  auto step = [&x] { eval(sum(sort(x + array(1.0f), 0) * x)); };
  step();
  size_t streams = get_streams().size();
  auto before = plan_cache_info();
  for (int i = 0; i < 10; i++) step();
  auto after = plan_cache_info();
  EXPECT_EQ(get_streams().size(), streams);
  EXPECT_EQ(after.plans, before.plans);
  EXPECT_EQ(after.nodes, before.nodes);
}
