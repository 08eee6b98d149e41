// Events of the CPU: a flag with a condition variable.
#include "mlx/backend/cpu/runtime/event.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

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

  bool wait_for(std::chrono::milliseconds time) override {
    if (is_signaled()) {
      return true;
    }
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [this] { return is_signaled(); });
  }

  // Work reaches a stream's device from the thread that runs the stream's batch, which waits.
  void wait_on(const Stream&) override {
    if (!is_signaled()) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return is_signaled(); });
    }
  }

  bool is_ready_for(const Stream&) override { return is_signaled(); }

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
