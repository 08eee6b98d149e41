// Objects of the CUDA runtime that go when their owner does, also when what comes after them in the
// making of the owner fails.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>

#include "mlx/backend/cuda/runtime/device.h"

namespace mlx::core::cuda {

struct EventDeleter {
  void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
};
using OwnedEvent = std::unique_ptr<CUevent_st, EventDeleter>;

inline OwnedEvent make_owned_event(unsigned flags) {
  cudaEvent_t event = nullptr;
  check_cuda([&] { return cudaEventCreateWithFlags(&event, flags); }, "making an event");
  return OwnedEvent(event);
}

struct PinnedDeleter {
  void operator()(void* memory) const { cudaFreeHost(memory); }
};
/** Memory of the host that devices reach. */
using PinnedMemory = std::unique_ptr<void, PinnedDeleter>;

inline PinnedMemory make_pinned_memory(size_t bytes, unsigned flags) {
  void* memory = nullptr;
  check_cuda([&] { return cudaHostAlloc(&memory, bytes, flags); }, "allocating pinned memory");
  return PinnedMemory(memory);
}

}  // namespace mlx::core::cuda
