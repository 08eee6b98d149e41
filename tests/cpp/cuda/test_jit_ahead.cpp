// Texts that are compiled before anybody asks for them: all are there, once, and failures are not.
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>

#include "mlx/backend/cuda/jit_ahead.h"

namespace mlx::core::cuda {
namespace {

TEST(JitAhead, GivesWhatWasBegunOnce) {
  constexpr int count = 100;
  std::atomic<int> compiled = 0;
  auto name = [](int i) { return "text " + std::to_string(i); };
  for (int i = 0; i < count; i++) {
    compile_ahead(name(i), [i, &compiled] {
      compiled++;
      return std::to_string(i);
    });
  }
  int given = 0;
  for (int i = 0; i < count; i++) {
    auto code = compiled_ahead(name(i));
    given += code.has_value();
    EXPECT_EQ(code.value_or(std::to_string(i)), std::to_string(i));
    EXPECT_FALSE(compiled_ahead(name(i)));
  }
  EXPECT_EQ(given, compiled);  // what had not begun is left to the caller
}

TEST(JitAhead, KnowsNothingOfTheRestAndOfFailures) {
  EXPECT_FALSE(compiled_ahead("never begun"));
  compile_ahead("bad", []() -> std::string { throw std::runtime_error("bad text"); });
  EXPECT_FALSE(compiled_ahead("bad"));
}

}  // namespace
}  // namespace mlx::core::cuda
