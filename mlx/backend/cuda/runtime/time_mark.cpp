// Events tell how long after each other they passed. One event that the host saw passing ties them
// all to the host's clock.
#include "mlx/backend/cuda/runtime/time_mark.h"

#include <chrono>

#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/backend/cuda/runtime/streams.h"

namespace mlx::core::cuda {

namespace {

cudaEvent_t timed_event(const Stream& s) {
  use_device(s.device.index);
  cudaEvent_t event;
  check_cuda(cudaEventCreate(&event), "making an event");
  record_event(event, s);
  return event;
}

struct Anchor {
  explicit Anchor(const Stream& s) : event(timed_event(s)) {
    check_cuda(cudaEventSynchronize(event), "running queued work");
    microseconds = std::chrono::duration<double, std::micro>(
                       std::chrono::steady_clock::now().time_since_epoch())
                       .count();
  }
  cudaEvent_t event;
  double microseconds;
};

const Anchor& anchor(const Stream& s) {
  static const auto* first = new Anchor(s);
  return *first;
}

class CudaTimeMark : public TimeMark {
 public:
  explicit CudaTimeMark(const Stream& s) : anchor_(anchor(s)), event_(timed_event(s)) {}
  ~CudaTimeMark() override { cudaEventDestroy(event_); }

  double microseconds() override {
    check_cuda(cudaEventSynchronize(event_), "running queued work");
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, anchor_.event, event_), "timing queued work");
    return anchor_.microseconds + 1000.0 * milliseconds;
  }

 private:
  const Anchor& anchor_;
  cudaEvent_t event_;
};

}  // namespace

std::shared_ptr<TimeMark> make_time_mark(const Stream& s) {
  return std::make_shared<CudaTimeMark>(s);
}

}  // namespace mlx::core::cuda
