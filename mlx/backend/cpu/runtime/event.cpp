// Events of the CPU: a flag with a condition variable.
#include "mlx/backend/cpu/runtime/event.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "mlx/core/interrupt.h"

namespace mlx::core::cpu {

namespace {

class HostEvent : public EventState {
 public:
  using EventState::EventState;

  void signal() override {
    std::lock_guard lock(mutex_);
    done_.store(true, std::memory_order_release);
    changed_.notify_all();
  }

  bool is_signaled() override { return done_.load(std::memory_order_acquire); }

  void wait() override {
    if (is_signaled()) {
      return;
    }
    std::unique_lock lock(mutex_);
    while (
        !changed_.wait_for(lock, std::chrono::milliseconds(20), [this] { return is_signaled(); })) {
      lock.unlock();
      if (interrupt_requested()) {
        throw Interrupted();
      }
      lock.lock();
    }
  }

  // Work reaches a stream's device from the thread that runs the stream's batch, which waits.
  void wait_on(const Stream&) override { wait(); }

 private:
  std::atomic<bool> done_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace

std::shared_ptr<EventState> make_event(const Stream& stream) {
  return std::make_shared<HostEvent>(stream);
}

}  // namespace mlx::core::cpu
