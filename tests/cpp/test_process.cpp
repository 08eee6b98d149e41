// Streams, events and nodes as the process sees them: cancelled work, what threads give back, and
// the lives of nodes with several outputs.
#include <gtest/gtest.h>

#include <thread>

#include "mlx/core/scheduler.h"
#include "mlx/mlx.h"

using namespace mlx::core;

TEST(Process, CancelledWorkHasFailed) {
  auto s = new_stream(Device::cpu);
  array x = ones({600, 600});
  array y = x;
  for (int i = 0; i < 200; i++) y = matmul(y, x, s);
  async_eval({y});
  scheduler::cancel_all();
  EXPECT_THROW(y.eval(), std::runtime_error);
  EXPECT_EQ(sum(ones({3}), s).item<float>(), 3.0f);
}

TEST(Process, ThreadsGiveTheirStreamsBack) {
  size_t before = get_streams().size();
  for (int i = 0; i < 50; i++) {
    std::thread([] { default_stream(Device::cpu); }).join();
  }
  EXPECT_LE(get_streams().size(), before + 1);
}

TEST(Process, OutputsOfOneNodeGoWithTheLastHandle) {
  size_t before = get_active_memory();
  for (int i = 0; i < 20; i++) {
    array data = ones({1 << 18}) * array(2.0f);
    eval(data);
    auto parts = split(data, 4);
    array first = parts[0], last = parts[3];
    parts.clear();
    first = last;  // assigned over
    last = array(1.0f);
    auto again = split(data, 2);
    again[0].overwrite_descriptor(again[1]);
  }
  EXPECT_LT(get_active_memory() - before, size_t{1} << 20);
}

TEST(Process, BytesOfAShapeAreChecked) {
  EXPECT_EQ(num_bytes({3, 4}, float32), 48u);
  EXPECT_EQ(num_bytes({1 << 30, 1 << 30, 0}, float64), 0u);
  EXPECT_THROW(num_bytes({1 << 30, 1 << 30, 2}, float32), std::invalid_argument);
  EXPECT_THROW(array({1 << 30, 1 << 30, 2}, float32, nullptr, {}), std::invalid_argument);
}
