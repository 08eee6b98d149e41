// The GPUs of this machine, and how CUDA's error codes become exceptions that name the op.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "mlx/backend/backend.h"
#include "mlx/core/faults.h"

namespace mlx::core::cuda {

struct DeviceFacts {
  std::string name;
  int major, minor;
  int multiprocessors;
  size_t memory;
};

/** GPUs that can be used; 0 and the reason where there are none. */
int count_devices(std::string* why_not);

const DeviceFacts& device_facts(int index);

/** Whether equal blocks keep all multiprocessors busy to the end, which hold `resident` each. */
bool fills_evenly(int64_t blocks, int resident, const DeviceFacts& device);

/** Makes `index` the calling thread's device. Throws in a child of a fork. */
void use_device(int index);

/** The op that the calling thread works for, for messages. */
class OpScope {
 public:
  explicit OpScope(const char* name);
  ~OpScope();
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;
  static const char* current();

 private:
  const char* outer_;
};

[[noreturn]] void raise_cuda_error(cudaError_t code, const char* what);

/** Makes a call of the runtime: throws std::runtime_error `[op] ...` unless it succeeds. A fault
 * comes in its place, since one that was made has begun something. */
template <typename Call>
void check_cuda(Call&& call, const char* what) {
  bool fault = faults::strikes(faults::Point::device);
  cudaError_t code = fault ? cudaErrorUnknown : call();
  if (code != cudaSuccess) [[unlikely]] {
    raise_cuda_error(code, what);
  }
}

}  // namespace mlx::core::cuda
