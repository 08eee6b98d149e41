// Events of the CPU: a word that the kernel lets threads wait for. Signalling costs nothing more
// where nobody waits.
#include "mlx/backend/cpu/runtime/event.h"

#include <atomic>
#include <climits>

#include "mlx/core/futex.h"

namespace mlx::core::cpu {

namespace {

class HostEvent : public EventState {
 public:
  using EventState::EventState;

  void signal() override {
    if (state_.exchange(done, std::memory_order_acq_rel) == waited_for) {
      futex_wake(&state_, INT_MAX);
    }
  }

  bool is_signaled() override { return state_.load(std::memory_order_acquire) == done; }

  bool wait_for(std::chrono::milliseconds time) override {
    using Clock = std::chrono::steady_clock;
    auto end = Clock::now() + time;
    while (announce_wait()) {
      auto left = end - Clock::now();
      if (left.count() <= 0) return false;
      futex_wait(&state_, waited_for, left);
    }
    return true;
  }

  // Work reaches a stream's device from the thread that runs the stream's batch, which waits.
  void wait_on(const Stream&) override {
    while (announce_wait()) futex_wait(&state_, waited_for);
  }

  bool is_ready_for(const Stream&) override { return is_signaled(); }

 private:
  static constexpr uint32_t open = 0, waited_for = 1, done = 2;

  // Whether there is something to wait for.
  bool announce_wait() {
    uint32_t found = open;
    state_.compare_exchange_strong(found, waited_for, std::memory_order_acquire);
    return found != done;
  }

  std::atomic<uint32_t> state_{open};
};

}  // namespace

std::shared_ptr<EventState> make_event(const Stream& stream) {
  return std::make_shared<HostEvent>(stream);
}

}  // namespace mlx::core::cpu
