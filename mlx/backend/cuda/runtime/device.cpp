// Finding devices and naming their failures.
#include "mlx/backend/cuda/runtime/device.h"

#include <atomic>
#include <vector>

#include "mlx/core/errors.h"
#include "mlx/core/fork.h"

namespace mlx::core::cuda {

namespace {

thread_local const char* current_op = "gpu";

// The driver's state does not cross a fork.
std::atomic<bool> after_fork{false};
const OnFork registered(ForkStage::gpu, {nullptr, nullptr, [] { after_fork = true; }});

std::vector<DeviceFacts> read_facts() {
  std::vector<DeviceFacts> all;
  int count = count_devices(nullptr);
  for (int i = 0; i < count; i++) {
    cudaDeviceProp p{};
    check_cuda([&] { return cudaGetDeviceProperties(&p, i); }, "reading the device's properties");
    all.push_back({p.name, p.major, p.minor, p.multiProcessorCount, p.totalGlobalMem});
  }
  return all;
}

std::string no_device_reason(cudaError_t code) {
  int driver = 0;
  if (code == cudaSuccess) {
    return "the driver lists none";
  }
  if (code != cudaErrorInsufficientDriver || cudaDriverGetVersion(&driver) != cudaSuccess) {
    return cudaGetErrorString(code);
  }
  auto version = [](int v) {
    return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10);
  };
  return driver == 0 ? "there is no NVIDIA driver"
                     : "the NVIDIA driver is for CUDA " + version(driver) + ", and CUDA " +
                           version(CUDART_VERSION) + " is needed";
}

}  // namespace

int count_devices(std::string* why_not) {
  int count = 0;
  cudaError_t code = cudaGetDeviceCount(&count);
  if (code != cudaSuccess) {
    cudaGetLastError();
    count = 0;
  }
  if (count == 0 && why_not) {
    *why_not = "no GPU was found: " + no_device_reason(code) + ".";
  }
  return count;
}

const DeviceFacts& device_facts(int index) {
  static const auto* all = new std::vector<DeviceFacts>(read_facts());
  return all->at(index);
}

bool fills_evenly(int64_t blocks, int resident, const DeviceFacts& device) {
  int64_t at_once = int64_t{device.multiprocessors} * resident;
  int64_t rounds = (blocks + at_once - 1) / at_once;
  return 10 * blocks >= 9 * rounds * at_once;
}

void use_device(int index) {
  if (after_fork.load(std::memory_order_relaxed)) [[unlikely]] {
    throw std::runtime_error(error_message(
        current_op,
        "A process that was forked cannot use the GPU of its parent: start it with the "
        "spawn method, or use the CPU in it."));
  }
  thread_local int current = -1;
  if (current != index) {
    check_cuda([&] { return cudaSetDevice(index); }, "choosing the device");
    current = index;
  }
}

OpScope::OpScope(const char* name) : outer_(current_op) { current_op = name; }
OpScope::~OpScope() { current_op = outer_; }
const char* OpScope::current() { return current_op; }

void raise_cuda_error(cudaError_t code, const char* what) {
  cudaGetLastError();  // an error that can be recovered from must not show up in the next call
  throw std::runtime_error(error_message(current_op, "The GPU failed while ", what, ": ",
                                         cudaGetErrorString(code), "."));
}

}  // namespace mlx::core::cuda
