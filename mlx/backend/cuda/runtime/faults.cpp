// The one slot for faults, in pinned memory that the GPU writes to directly.
#include "mlx/backend/cuda/runtime/faults.h"

#include <atomic>
#include <cstring>
#include <stdexcept>

#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

kernels::Fault* fault_slot() {
  static auto* slot = [] {
    void* memory = nullptr;
    check_cuda(
        cudaHostAlloc(&memory, sizeof(kernels::Fault), cudaHostAllocPortable | cudaHostAllocMapped),
        "allocating pinned memory");
    std::memset(memory, 0, sizeof(kernels::Fault));
    return static_cast<kernels::Fault*>(memory);
  }();
  return slot;
}

bool has_fault() {
  return std::atomic_ref<int32_t>(fault_slot()->raised).load(std::memory_order_acquire) != 0;
}

std::exception_ptr take_fault() {
  if (!has_fault()) {
    return nullptr;
  }
  kernels::Fault fault = *fault_slot();
  std::atomic_ref<int32_t>(fault_slot()->raised).store(0);
  return std::make_exception_ptr(std::out_of_range(
      error_message(kernels::fault_op_name(fault.op), "Index ", fault.index,
                    " is out of range for axis ", fault.axis, " with size ", fault.extent, ".")));
}

}  // namespace mlx::core::cuda
