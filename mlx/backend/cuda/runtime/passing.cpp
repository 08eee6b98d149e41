// The store of events: making one takes the driver longer than recording it.
#include "mlx/backend/cuda/runtime/passing.h"

#include <map>
#include <mutex>
#include <vector>

#include "mlx/backend/cuda/runtime/device.h"

namespace mlx::core::cuda {

namespace {

struct FreeEvents {
  std::mutex mutex;
  std::map<int, std::vector<cudaEvent_t>> by_device;
};

FreeEvents& free_events() {
  static auto* all = new FreeEvents;  // events outlive main's statics
  return *all;
}

}  // namespace

cudaEvent_t take_event(int device) {
  auto& all = free_events();
  {
    std::lock_guard lock(all.mutex);
    auto& free = all.by_device[device];
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
  auto& all = free_events();
  std::lock_guard lock(all.mutex);
  all.by_device[device].push_back(event);
}

bool has_passed(cudaEvent_t event) {
  cudaError_t code = cudaEventQuery(event);
  if (code == cudaErrorNotReady) {
    return false;
  }
  check_cuda([&] { return code; }, "running queued work");
  return true;
}

}  // namespace mlx::core::cuda
