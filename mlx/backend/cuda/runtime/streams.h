// Streams of the framework as streams of CUDA, and events between them.
#pragma once

#include <memory>
#include <mutex>

#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/backend/cuda/runtime/recorder.h"
#include "mlx/event.h"

namespace mlx::core::cuda {

/** What records the work of `s`, made at the first call; makes its device the thread's device. */
Recorder& recorder_of(const Stream& s);

/** Queues work on `s` that is no kernel of our own: queue(stream) starts copies within the device
 * or library calls that can be recorded. It must not allocate device memory. */
template <typename F>
void enqueue(const Stream& s, F&& queue) {
  Recorder& recorder = recorder_of(s);
  std::lock_guard lock(recorder.mutex());
  queue(recorder.begin());
  recorder.end();
}

/** The same for a call that does the same whenever it is given the same. */
template <typename F>
void enqueue(const Stream& s, const LibraryCall& call, F&& queue) {
  Recorder& recorder = recorder_of(s);
  std::lock_guard lock(recorder.mutex());
  recorder.call(call, queue);
}

/** Queues a kernel on `s`. Returns as Recorder::launch. */
inline uint64_t enqueue(const Stream& s, const KernelLaunch& launch) {
  Recorder& recorder = recorder_of(s);
  std::lock_guard lock(recorder.mutex());
  return recorder.launch(launch);
}

/** As Recorder::take_back. */
inline bool take_back(const Stream& s, uint64_t number) {
  Recorder& recorder = recorder_of(s);
  std::lock_guard lock(recorder.mutex());
  return recorder.take_back(number);
}

/** The same for everything else, such as events: call(stream) comes after all that was enqueued. */
template <typename F>
void call_directly(const Stream& s, F&& call) {
  Recorder& recorder = recorder_of(s);
  std::lock_guard lock(recorder.mutex());
  call(recorder.plain());
}

/** Starts everything that has been recorded on any stream. Failures are raised by these streams. */
void submit_all() noexcept;

/** Makes later work of `waiter` wait for all work queued on `other` so far. */
void order_after(const Stream& waiter, const Stream& other);

/** Records the event after all work queued on `s` so far. */
void record_event(cudaEvent_t event, const Stream& s);

/** Blocks until the event has passed. */
void wait_event(cudaEvent_t event);

std::shared_ptr<EventState> make_event(const Stream& s);

/** Blocks until the stream's work is done. */
void synchronize_stream(const Stream& s);

}  // namespace mlx::core::cuda
