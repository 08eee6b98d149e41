// CUDA streams and events. Waiting polls: a short spin for results that are almost there, then
// sleeps.
#include "mlx/backend/cuda/runtime/streams.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

struct Handles {
  std::mutex mutex;
  std::map<Stream, std::unique_ptr<Recorder>> streams;
  std::map<int, std::vector<cudaEvent_t>> free_events;  // by device
};

Handles& handles() {
  static auto* all = new Handles;  // streams outlive main's statics
  return *all;
}

cudaEvent_t take_event(int device) {
  auto& all = handles();
  {
    std::lock_guard lock(all.mutex);
    auto& free = all.free_events[device];
    if (!free.empty()) {
      cudaEvent_t event = free.back();
      free.pop_back();
      return event;
    }
  }
  use_device(device);
  cudaEvent_t event;
  check_cuda([&] { return cudaEventCreateWithFlags(&event, cudaEventDisableTiming); },
             "making an event");
  return event;
}

void give_event(int device, cudaEvent_t event) {
  auto& all = handles();
  std::lock_guard lock(all.mutex);
  all.free_events[device].push_back(event);
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

bool has_passed(cudaEvent_t event) {
  cudaError_t code = cudaEventQuery(event);
  if (code == cudaErrorNotReady) {
    return false;
  }
  check_cuda([&] { return code; }, "running queued work");
  return true;
}

void wait_in_order(const Stream& s, cudaEvent_t event) {
  call_directly(s, [&](cudaStream_t stream) {
    check_cuda([&] { return cudaStreamWaitEvent(stream, event, 0); }, "ordering streams");
  });
}

class GpuEvent : public EventState {
 public:
  explicit GpuEvent(Stream s) : EventState(s), event_(take_event(s.device.index)) {}
  ~GpuEvent() override { give_event(stream.device.index, event_); }

  void signal() override {
    std::exception_ptr failure;
    try {
      record_event(event_, stream);
    } catch (...) {
      failure = std::current_exception();  // raised by whoever waits
    }
    std::lock_guard lock(mutex_);
    failure_ = failure;
    recorded_.store(true, std::memory_order_release);
    changed_.notify_all();
  }

  bool is_signaled() override {
    return recorded_.load(std::memory_order_acquire) && !failure_ &&
           cudaEventQuery(event_) == cudaSuccess;
  }

  bool wait_for(std::chrono::milliseconds time) override {
    auto until = Clock::now() + time;
    if (!wait_recorded(until)) {
      return false;
    }
    use_device(stream.device.index);
    return poll(until, [this] { return has_passed(event_); });
  }

  void wait_on(const Stream& s) override {
    wait_recorded(Clock::time_point::max());
    if (s.device.type == Device::cpu) {
      use_device(stream.device.index);
      wait_event(event_);
    } else {
      wait_in_order(s, event_);
    }
  }

  bool is_ready_for(const Stream& s) override {
    return s.device.type == Device::cpu ? is_signaled() : recorded_.load(std::memory_order_acquire);
  }

  std::exception_ptr failure() override {
    return recorded_.load(std::memory_order_acquire) ? failure_ : nullptr;
  }

 private:
  bool wait_recorded(Clock::time_point until) {
    if (!recorded_.load(std::memory_order_acquire)) {
      std::unique_lock lock(mutex_);
      auto recorded = [this] { return recorded_.load(); };
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

  cudaEvent_t event_;
  std::atomic<bool> recorded_{false};
  std::exception_ptr failure_;  // written before recorded_
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
    found = all.streams.emplace(s, std::make_unique<Recorder>()).first;
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

std::shared_ptr<EventState> make_event(const Stream& s) { return std::make_shared<GpuEvent>(s); }

void synchronize_stream(const Stream& s) {
  GpuEvent event(s);
  event.signal();
  event.wait_on(Stream(0, Device::cpu));
}

}  // namespace mlx::core::cuda
