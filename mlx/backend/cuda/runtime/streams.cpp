// CUDA streams and events. Waiting polls: a short spin for results that are almost there, then
// sleeps.
#include "mlx/backend/cuda/runtime/streams.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "mlx/core/errors.h"
#include "mlx/core/object_pool.h"

namespace mlx::core::cuda {

namespace {

struct Handles {
  std::mutex mutex;
  std::map<Stream, std::unique_ptr<Recorder>> streams;
};

Handles& handles() {
  static auto* all = new Handles;  // streams outlive main's statics
  return *all;
}

using Clock = std::chrono::steady_clock;

/** Calls `done` until it is true or the time is over: spinning at first, then with pauses. */
template <typename F>
bool poll(Clock::time_point until, F done) {
  auto start = Clock::now();
  while (!done()) {
    auto now = Clock::now();
    if (now >= until) {
      return false;
    }
    if (now - start < std::chrono::milliseconds(1)) {
      __builtin_ia32_pause();
      continue;
    }
    std::this_thread::sleep_for(
        std::chrono::microseconds(now - start < std::chrono::milliseconds(5) ? 5 : 50));
  }
  return true;
}

void wait_in_order(const Stream& s, cudaEvent_t event) {
  call_directly(s, [&](cudaStream_t stream) {
    check_cuda([&] { return cudaStreamWaitEvent(stream, event, 0); }, "ordering streams");
  });
}

class GpuEvent : public EventState {
 public:
  explicit GpuEvent(Stream s) : EventState(s) {}

  void signal() override {
    try {
      Recorder& recorder = recorder_of(stream);
      std::lock_guard lock(recorder.mutex());
      place_ = recorder.mark();
    } catch (...) {
      failure_ = std::current_exception();  // raised by whoever waits
    }
    std::lock_guard lock(mutex_);
    recorded_.store(true, std::memory_order_release);
    changed_.notify_all();
  }

  bool is_signaled() override {
    return is_recorded() && !failure_ && (place_->was_seen_over() || is_over());
  }

  bool is_known_signaled() override {
    return is_recorded() && !failure_ && place_->was_seen_over();
  }

  bool wait_for(std::chrono::milliseconds time) override {
    auto until = Clock::now() + time;
    if (!wait_recorded(until)) {
      return false;
    }
    use_device(stream.device.index);
    return poll(until, [this] { return place_->is_over(); });
  }

  void wait_on(const Stream& s) override {
    wait_recorded(Clock::time_point::max());
    if (place_->was_seen_over()) {
      return;
    }
    if (s.device.type == Device::cpu) {
      use_device(stream.device.index);
      poll(Clock::time_point::max(), [this] { return place_->is_over(); });
    } else {
      wait_in_order(s, place_->event());
    }
  }

  bool is_ready_for(const Stream& s) override {
    return s.device.type == Device::cpu ? is_signaled() : is_recorded();
  }

  std::exception_ptr failure() override { return is_recorded() ? failure_ : nullptr; }

 private:
  bool is_recorded() const { return recorded_.load(std::memory_order_acquire); }

  /** Whoever asks without waiting learns of no failure. */
  bool is_over() {
    try {
      return place_->is_over();
    } catch (const std::exception&) {
      return false;
    }
  }

  // A thread of the stream is mostly about to queue the work, if it has not.
  bool wait_recorded(Clock::time_point until) {
    auto soon = Clock::now() + std::chrono::microseconds(50);
    if (!is_recorded() && !poll(std::min(until, soon), [this] { return is_recorded(); })) {
      std::unique_lock lock(mutex_);
      auto recorded = [this] { return is_recorded(); };
      if (until == Clock::time_point::max()) {
        changed_.wait(lock, recorded);
      } else if (!changed_.wait_until(lock, until, recorded)) {
        return false;
      }
    }
    if (failure_) {
      std::rethrow_exception(failure_);
    }
    return true;
  }

  std::shared_ptr<Passing> place_;  // written before recorded_, as the failure is
  std::exception_ptr failure_;
  std::atomic<bool> recorded_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace

Recorder& recorder_of(const Stream& s) {
  use_device(s.device.index);
  thread_local Stream last(-1, Device::gpu);
  thread_local Recorder* recorder = nullptr;
  if (recorder && last == s) {
    return *recorder;
  }
  auto& all = handles();
  std::lock_guard lock(all.mutex);
  auto found = all.streams.find(s);
  if (found == all.streams.end()) {  // no entry stays behind if there can be no recorder
    found = all.streams.emplace(s, std::make_unique<Recorder>(s.device.index)).first;
  }
  last = s;
  recorder = found->second.get();
  return *recorder;
}

void submit_all() noexcept {
  auto& all = handles();
  std::lock_guard lock(all.mutex);
  for (auto& [stream, recorder] : all.streams) {
    std::lock_guard work(recorder->mutex());
    recorder->flush();
  }
}

void order_after(const Stream& waiter, const Stream& other) {
  GpuEvent event(other);
  event.signal();
  event.wait_on(waiter);
}

void record_event(cudaEvent_t event, const Stream& s) {
  call_directly(s, [&](cudaStream_t stream) {
    check_cuda([&] { return cudaEventRecord(event, stream); }, "recording an event");
  });
}

void wait_event(cudaEvent_t event) {
  poll(Clock::time_point::max(), [event] { return has_passed(event); });
}

std::shared_ptr<EventState> make_event(const Stream& s) { return make_pooled<GpuEvent>(s); }

void synchronize_stream(const Stream& s) {
  GpuEvent event(s);
  event.signal();
  event.wait_on(Stream(0, Device::cpu));
}

}  // namespace mlx::core::cuda
