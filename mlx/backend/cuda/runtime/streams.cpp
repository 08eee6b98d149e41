// CUDA streams and events. Waiting polls: a short spin for results that are almost there, then
// sleeps that let an interrupt through.
#include "mlx/backend/cuda/runtime/streams.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "mlx/backend/cuda/runtime/faults.h"
#include "mlx/core/errors.h"
#include "mlx/core/interrupt.h"

namespace mlx::core::cuda {

namespace {

struct Handles {
  std::mutex mutex;
  std::map<Stream, cudaStream_t> streams;
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
  check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
  return event;
}

void give_event(int device, cudaEvent_t event) {
  auto& all = handles();
  std::lock_guard lock(all.mutex);
  all.free_events[device].push_back(event);
}

/** Calls `done` until it is true: spinning at first, then with pauses that see interrupts. */
template <typename F>
void poll(F done) {
  using Clock = std::chrono::steady_clock;
  auto start = Clock::now();
  auto asked = start;
  while (!done()) {
    auto now = Clock::now();
    if (now - start < std::chrono::microseconds(200)) {
      __builtin_ia32_pause();
      continue;
    }
    if (now - asked > std::chrono::milliseconds(20)) {
      asked = now;
      if (interrupt_requested()) {
        throw Interrupted();
      }
    }
    std::this_thread::sleep_for(
        std::chrono::microseconds(now - start < std::chrono::milliseconds(5) ? 5 : 50));
  }
}

bool has_passed(cudaEvent_t event) {
  cudaError_t code = cudaEventQuery(event);
  if (code == cudaErrorNotReady) {
    return false;
  }
  check_cuda(code, "running queued work");
  return true;
}

class GpuEvent : public EventState {
 public:
  explicit GpuEvent(Stream s) : EventState(s), event_(take_event(s.device.index)) {}
  ~GpuEvent() override { give_event(stream.device.index, event_); }

  void signal() override {
    cudaError_t code = cudaEventRecord(event_, stream_handle(stream));
    std::lock_guard lock(mutex_);
    failed_ = code;
    recorded_.store(true, std::memory_order_release);
    changed_.notify_all();
  }

  // A fault keeps the event from looking signalled, so that somebody waits and gets it raised.
  bool is_signaled() override {
    if (!recorded_.load(std::memory_order_acquire) || failed_ != cudaSuccess || has_own_fault()) {
      return false;
    }
    return cudaEventQuery(event_) == cudaSuccess && !has_fault();
  }

  // The fault stays with the event: everything that was made before it may be wrong.
  void wait() override {
    wait_recorded();
    poll([this] { return has_passed(event_); });
    std::lock_guard lock(mutex_);
    if (!fault_) {
      fault_ = take_fault();
    }
    if (fault_) {
      std::rethrow_exception(fault_);
    }
  }

  void wait_on(const Stream& s) override {
    if (s.device.type == Device::cpu) {
      wait();
      return;
    }
    wait_recorded();
    check_cuda(cudaStreamWaitEvent(stream_handle(s), event_, 0), "ordering streams");
  }

 private:
  void wait_recorded() {
    if (!recorded_.load(std::memory_order_acquire)) {
      std::unique_lock lock(mutex_);
      while (!changed_.wait_for(lock, std::chrono::milliseconds(20),
                                [this] { return recorded_.load(); })) {
        lock.unlock();
        if (interrupt_requested()) {
          throw Interrupted();
        }
        lock.lock();
      }
    }
    check_cuda(failed_, "recording an event");
  }

  bool has_own_fault() {
    std::lock_guard lock(mutex_);
    return fault_ != nullptr;
  }

  cudaEvent_t event_;
  std::exception_ptr fault_;
  std::atomic<bool> recorded_{false};
  cudaError_t failed_ = cudaSuccess;
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace

cudaStream_t stream_handle(const Stream& s) {
  use_device(s.device.index);
  auto& all = handles();
  std::lock_guard lock(all.mutex);
  auto it = all.streams.find(s);
  if (it == all.streams.end()) {
    cudaStream_t made;
    check_cuda(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "making a stream");
    it = all.streams.emplace(s, made).first;
  }
  return it->second;
}

void order_after(const Stream& waiter, const Stream& other) {
  cudaEvent_t event = take_event(other.device.index);
  check_cuda(cudaEventRecord(event, stream_handle(other)), "recording an event");
  check_cuda(cudaStreamWaitEvent(stream_handle(waiter), event, 0), "ordering streams");
  give_event(other.device.index, event);
}

std::shared_ptr<EventState> make_event(const Stream& s) { return std::make_shared<GpuEvent>(s); }

void synchronize_stream(const Stream& s) {
  GpuEvent event(s);
  event.signal();
  event.wait();
}

}  // namespace mlx::core::cuda
