// Queues of batches: those who submit many stay close to their execution, unless that is stuck.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "mlx/core/scheduler.h"
#include "mlx/stream.h"

using namespace mlx::core;

namespace {

TEST(Scheduler, NobodyWaitsForWorkThatIsStuck) {
  Stream s = new_stream(Device::cpu);
  std::atomic<bool> open{false};
  for (int i = 0; i < 5; i++) {
    scheduler::submit(s, [&] {
      while (!open) std::this_thread::yield();
    });
    scheduler::wait_for_turn(s);
  }
  open = true;  // only a caller that came back gets here
  scheduler::wait_idle(s);
}

}  // namespace
