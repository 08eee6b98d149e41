// Events of the driver, which are kept for reuse, and places in the work of streams that are marked
// by them.
#pragma once

#include <cuda_runtime.h>

#include <atomic>

namespace mlx::core::cuda {

/** An event of the device without a time; `give_event` takes it back. */
cudaEvent_t take_event(int device);
void give_event(int device, cudaEvent_t event);

/** Whether the work before the event is done. Throws if it failed. */
bool has_passed(cudaEvent_t event);

/** A place in the work of a stream. */
class Passing {
 public:
  explicit Passing(int device) : device_(device), event_(take_event(device)) {}
  ~Passing() { give_event(device_, event_); }
  Passing(const Passing&) = delete;
  Passing& operator=(const Passing&) = delete;

  /** To be recorded at the place. */
  cudaEvent_t event() const { return event_; }

  /** Whether the work has come there. Throws if it failed. */
  bool is_over() {
    if (!was_seen_over() && has_passed(event_)) over_.store(true, std::memory_order_release);
    return was_seen_over();
  }
  /** The same as far as anybody has seen; asks nobody. */
  bool was_seen_over() const { return over_.load(std::memory_order_acquire); }

 private:
  int device_;
  cudaEvent_t event_;
  std::atomic<bool> over_{false};
};

}  // namespace mlx::core::cuda
