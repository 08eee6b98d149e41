// Events as a flag with a condition variable.
#include "mlx/event.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "mlx/core/interrupt.h"

namespace mlx::core {

struct Event::State {
  explicit State(Stream stream) : stream(stream) {}
  Stream stream;
  std::atomic<bool> done{false};
  std::mutex mutex;
  std::condition_variable changed;
};

Event::Event(Stream stream) : state_(std::make_shared<State>(stream)) {}

const Stream& Event::stream() const { return state_->stream; }

bool Event::is_signaled() const { return !state_ || state_->done.load(std::memory_order_acquire); }

void Event::signal() const {
  std::lock_guard lock(state_->mutex);
  state_->done.store(true, std::memory_order_release);
  state_->changed.notify_all();
}

void Event::wait() const {
  if (is_signaled()) {
    return;
  }
  std::unique_lock lock(state_->mutex);
  auto done = [this] { return state_->done.load(std::memory_order_acquire); };
  while (!state_->changed.wait_for(lock, std::chrono::milliseconds(20), done)) {
    lock.unlock();
    if (interrupt_requested()) {
      throw Interrupted();
    }
    lock.lock();
  }
}

}  // namespace mlx::core
