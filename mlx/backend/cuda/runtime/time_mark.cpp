// Events tell how long after each other they passed. One event that the host saw passing ties them
// all to the host's clock.
#include "mlx/backend/cuda/runtime/time_mark.h"

#include <chrono>
#include <utility>

#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/backend/cuda/runtime/owned.h"
#include "mlx/backend/cuda/runtime/streams.h"

namespace mlx::core::cuda {

namespace {

using TimedEvent = std::shared_ptr<CUevent_st>;

TimedEvent make_event_with_time(const Stream& s) {
  use_device(s.device.index);
  return make_owned_event(cudaEventDefault);
}

struct Anchor {
  explicit Anchor(const Stream& s) : event(make_event_with_time(s)) {
    record_event(event.get(), s);
    check_cuda([&] { return cudaEventSynchronize(event.get()); }, "running queued work");
    microseconds = std::chrono::duration<double, std::micro>(
                       std::chrono::steady_clock::now().time_since_epoch())
                       .count();
  }
  TimedEvent event;
  double microseconds;
};

const Anchor& anchor(const Stream& s) {
  static const auto* first = new Anchor(s);
  return *first;
}

class CudaTimeMark : public TimeMark {
 public:
  CudaTimeMark(const Stream& s, TimedEvent event) : anchor_(anchor(s)), event_(std::move(event)) {}

  double microseconds() override {
    check_cuda([&] { return cudaEventSynchronize(event_.get()); }, "running queued work");
    float milliseconds = 0;
    check_cuda(
        [&] { return cudaEventElapsedTime(&milliseconds, anchor_.event.get(), event_.get()); },
        "timing queued work");
    return anchor_.microseconds + 1000.0 * milliseconds;
  }

 private:
  const Anchor& anchor_;
  TimedEvent event_;
};

}  // namespace

std::shared_ptr<TimeMark> mark_end(const Stream& s) {
  auto event = make_event_with_time(s);
  record_event(event.get(), s);
  return std::make_shared<CudaTimeMark>(s, event);
}

std::shared_ptr<TimeMark> mark_begin(const Stream& s) {
  auto event = make_event_with_time(s);
  auto mark = std::make_shared<CudaTimeMark>(s, event);
  Recorder& recorder = recorder_of(s);
  std::lock_guard lock(recorder.mutex());
  recorder.record_before_next(event);
  return mark;
}

}  // namespace mlx::core::cuda
